/* tests/bench/pull: g4-pull against curl on loopback, the same file, the same number
 * of connections, in pairs.  A server in C (sendfile, ranges, an optional limit on
 * the bytes of all connections together) stands for the network.
 *
 *   pull G4-PULL FOLDER [-s MB] [-n PAIRS] [-c CONNECTIONS]
 *
 * Prints, for an unlimited link and one of 200 MB/s: the medians and the ratio of
 * the pairs (g4-pull includes SHA-256, journal, fsync and rename; curl writes the
 * ranges into one file each), and the most memory g4-pull took. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 256 << 10, PATH = 512 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "bench/pull: %s: %s\n", what, strerror(errno));
    exit(4);
}

/* ---- the server ------------------------------------------------------------------ */

static struct shared { /* between the bench and its server */
    volatile double rate; /* bytes a second, 0: no limit */
} *shared;

static struct {
    const char *file;
    int64_t size;
    pthread_mutex_t lock;
    double paid_until; /* when the bytes that were given out are due */
} server = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Waits until the link has room for n more bytes. */
static void pay(size_t n)
{
    const double rate = shared->rate;
    if (rate <= 0) return;
    pthread_mutex_lock(&server.lock);
    const double t = now();
    if (server.paid_until < t) server.paid_until = t;
    server.paid_until += (double)n / rate;
    const double wait = server.paid_until - t;
    pthread_mutex_unlock(&server.lock);
    if (wait > 0.002) usleep((useconds_t)(wait * 1e6));
}

static int read_request(int fd, char *buf, size_t cap)
{
    size_t n = 0;
    while (n < cap - 1) {
        const ssize_t got = read(fd, buf + n, cap - 1 - n);
        if (got <= 0) return -1;
        n += (size_t)got;
        buf[n] = 0;
        if (strstr(buf, "\r\n\r\n")) return 0;
    }
    return -1;
}

static int reply(int fd, const char *request, int file)
{
    char head[300];
    int64_t a = 0, b = server.size - 1;
    const char *range = strcasestr(request, "\r\nRange: bytes=");
    const bool whole = !range || sscanf(range + 15, "%" SCNd64 "-%" SCNd64, &a, &b) < 1;
    if (b >= server.size) b = server.size - 1;
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nETag: \"bench\"\r\nAccept-Ranges: bytes\r\nContent-Length: %" PRId64 "\r\n",
                     whole ? "200 OK" : "206 Partial Content", b - a + 1);
    if (!whole) n += snprintf(head + n, sizeof head - (size_t)n, "Content-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64 "\r\n", a, b, server.size);
    n += snprintf(head + n, sizeof head - (size_t)n, "\r\n");
    if (write(fd, head, (size_t)n) != n) return -1;
    if (!strncmp(request, "HEAD", 4)) return 0;
    off_t at = a;
    while (at <= b) {
        const size_t piece = b + 1 - at < PIECE ? (size_t)(b + 1 - at) : PIECE;
        pay(piece);
        const ssize_t sent = sendfile(fd, file, &at, piece);
        if (sent <= 0) return -1;
    }
    return 0;
}

static void *serve(void *arg)
{
    char buf[8192];
    const int fd = (int)(intptr_t)arg, file = open(server.file, O_RDONLY | O_CLOEXEC);
    while (!read_request(fd, buf, sizeof buf) && !reply(fd, buf, file)) {}
    close(file);
    close(fd);
    return NULL;
}

static void run_server(int listener)
{
    for (;;) {
        pthread_t t;
        const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        if (!pthread_create(&t, NULL, serve, (void *)(intptr_t)fd)) pthread_detach(t);
    }
}

/* ---- the two sides --------------------------------------------------------------------- */

struct bench {
    const char *pull, *folder;
    char file[PATH], url[PATH];
    int connections, pairs;
    long most_kb;
};

/* Wall time of a command; *kb (may be NULL) grows to the most memory it took.  curl -Z
 * draws a meter whatever it is told. */
static double timed(char *const argv[], long *kb)
{
    struct rusage u;
    int status;
    const double t = now();
    const pid_t pid = fork();
    if (!pid) {
        const int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        if (!kb) dup2(null, 2);
        execvp(argv[0], argv);
        _exit(127);
    }
    if (wait4(pid, &status, 0, &u) < 0 || status) die(argv[0]);
    if (kb && u.ru_maxrss > *kb) *kb = u.ru_maxrss;
    return now() - t;
}

static void clean(const struct bench *b)
{
    char cmd[2 * PATH];
    snprintf(cmd, sizeof cmd, "rm -rf '%s/store' '%s'/part-*", b->folder, b->folder);
    if (system(cmd)) die("rm");
}

static double run_pull(struct bench *b)
{
    char jobs[16], store[PATH];
    snprintf(jobs, sizeof jobs, "%d", b->connections);
    snprintf(store, sizeof store, "%s/store", b->folder);
    setenv("G4_STORE", store, 1);
    clean(b);
    return timed((char *[]){ (char *)b->pull, "-q", "--jobs", jobs, b->url, NULL }, &b->most_kb);
}

/* curl -Z: as many ranges as connections, each into a file of its own. */
static double run_curl(struct bench *b)
{
    static char text[64][PATH];
    char *argv[200] = { "curl", "-sS", "-f", "-Z", "--parallel-immediate", "--parallel-max", "64" };
    int n = 7;
    clean(b);
    for (int i = 0; i < b->connections; i++) {
        const int64_t from = server.size / b->connections * i, to = i + 1 < b->connections ? server.size / b->connections * (i + 1) - 1 : server.size - 1;
        if (i) argv[n++] = "--next";
        snprintf(text[2 * i], PATH, "%" PRId64 "-%" PRId64, from, to);
        snprintf(text[2 * i + 1], PATH, "%s/part-%d", b->folder, i);
        char *const more[] = { "-sS", "-f", "-r", text[2 * i], "-o", text[2 * i + 1], b->url };
        for (size_t k = 0; k < sizeof more / sizeof *more; k++) argv[n++] = more[k];
    }
    argv[n] = NULL;
    return timed(argv, NULL);
}

static int by_value(const void *a, const void *b)
{
    return *(const double *)a < *(const double *)b ? -1 : 1;
}

static void compare(struct bench *b, const char *what, double rate)
{
    double pull[32], curl[32], ratio[32];
    shared->rate = rate;
    for (int i = 0; i < b->pairs; i++) {
        curl[i] = run_curl(b);
        pull[i] = run_pull(b);
        ratio[i] = curl[i] / pull[i];
    }
    qsort(pull, (size_t)b->pairs, sizeof *pull, by_value);
    qsort(curl, (size_t)b->pairs, sizeof *curl, by_value);
    qsort(ratio, (size_t)b->pairs, sizeof *ratio, by_value);
    const int mid = b->pairs / 2;
    const double mb = (double)server.size / 1e6;
    printf("%-10s %d connections: g4-pull %.0f MB/s, curl %.0f MB/s, ratio %.2f (%.2f to %.2f, %d pairs)\n", what, b->connections,
           mb / pull[mid], mb / curl[mid], ratio[mid], ratio[0], ratio[b->pairs - 1], b->pairs);
    fflush(stdout);
}

/* A GGUF of one tensor: header, then bytes that do not compress. */
static void make_file(struct bench *b, int64_t mb)
{
    static uint64_t block[1 << 17];
    const char arch[] = "general.architecture", name[] = "token_embd.weight";
    unsigned char head[256] = "GGUF";
    size_t n = 4;
    uint64_t x = 88172645463325252u;
#define PUT(type, v) (memcpy(head + n, &(type){ v }, sizeof(type)), n += sizeof(type))
    PUT(uint32_t, 3); PUT(uint64_t, 1); PUT(uint64_t, 1);
    PUT(uint64_t, sizeof arch - 1); memcpy(head + n, arch, sizeof arch - 1); n += sizeof arch - 1;
    PUT(uint32_t, 8); PUT(uint64_t, 6); memcpy(head + n, "gemma3", 6); n += 6;
    PUT(uint64_t, sizeof name - 1); memcpy(head + n, name, sizeof name - 1); n += sizeof name - 1;
    PUT(uint32_t, 1); PUT(uint64_t, (uint64_t)mb << 18); PUT(uint32_t, 0); PUT(uint64_t, 0);
#undef PUT
    n = (n + 31) & ~(size_t)31;
    snprintf(b->file, sizeof b->file, "%s/bench.gguf", b->folder);
    FILE *f = fopen(b->file, "wb");
    if (!f || fwrite(head, 1, n, f) != n) die(b->file);
    for (int64_t i = 0; i < mb; i++) {
        for (size_t k = 0; k < sizeof block / 8; k++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            block[k] = x;
        }
        if (fwrite(block, 1, sizeof block, f) != sizeof block) die(b->file);
    }
    if (fclose(f)) die(b->file);
    server.file = b->file;
    server.size = (int64_t)n + (mb << 20);
}

int main(int argc, char **argv)
{
    struct bench b = { .connections = 0, .pairs = 5 };
    int64_t mb = 1024;
    if (argc < 3) {
        fprintf(stderr, "usage: pull G4-PULL FOLDER [-s MB] [-n PAIRS] [-c CONNECTIONS]\n");
        return 2;
    }
    b.pull = argv[1];
    b.folder = argv[2];
    for (int i = 3; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "-s")) mb = atoll(argv[i + 1]);
        if (!strcmp(argv[i], "-n")) b.pairs = atoi(argv[i + 1]);
        if (!strcmp(argv[i], "-c")) b.connections = atoi(argv[i + 1]);
    }
    if (b.pairs < 1 || b.pairs > 32 || mb < 1 || b.connections > 16) return 2;
    mkdir(b.folder, 0755);
    make_file(&b, mb);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 64) || getsockname(listener, (struct sockaddr *)&at, &len))
        die("no loopback");
    signal(SIGPIPE, SIG_IGN);
    const pid_t pid = fork();
    if (!pid) run_server(listener);
    close(listener);
    snprintf(b.url, sizeof b.url, "http://127.0.0.1:%d/bench.gguf", ntohs(at.sin_port));
    const int counts[] = { 1, 4, 8 };
    for (size_t i = 0; i < 3; i++) {
        if (argc > 3 && b.connections && b.connections != counts[i]) continue;
        const int keep = b.connections;
        b.connections = counts[i];
        compare(&b, "200 MB/s", 200e6);
        compare(&b, "unlimited", 0);
        b.connections = keep;
    }
    printf("g4-pull took %ld MB of memory at most\n", b.most_kb / 1024);
    kill(pid, SIGKILL);
    clean(&b);
    unlink(b.file);
    return 0;
}
