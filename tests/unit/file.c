/* Whole files: mapping, reading with a limit, writing so that nothing half done
 * is seen, folders. */
#include "base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "../tap.h"

static char dir[64] = "/tmp/g4-file-XXXXXX";

static const char *in(const char *name)
{
    static char p[4][128];
    static int k;
    snprintf(p[k = (k + 1) % 4], sizeof *p, "%s/%s", dir, name);
    return p[k];
}

static void test_write_read(void)
{
    g4_err err = {0};
    g4_str s = {0};
    g4_map m;
    is_int(g4_file_write_atomic(in("a"), "12345", 5, &err), 0, "written");
    is_int(g4_file_write_atomic(in("a"), "123456", 6, &err), 0, "and written over");
    is_int(g4_file_read(in("a"), 6, &s, &err), 0, "read up to its size");
    is_str(s.p, "123456", "its bytes");
    is_int(g4_file_read(in("a"), 5, &s, &err), G4_ELIMIT, "a limit below its size");
    ok(strstr(err.msg, "larger than 5"), "says: %s", err.msg);
    is_int(g4_map_open(&m, in("a"), NULL), 0, "mapped");
    is_mem(m.p, m.n, "123456", 6, "its bytes");
    g4_map_close(&m);
    is_int(g4_file_write_atomic(in("none"), "", 0, NULL), 0, "an empty file");
    is_int(g4_map_open(&m, in("none"), NULL), 0, "maps");
    ok(m.n == 0 && !m.p, "to nothing");
    g4_map_close(&m);
    g4_str_clear(&s);
    is_int(g4_file_read(in("none"), 0, &s, NULL), 0, "an empty file within a limit of 0");
    err = (g4_err){0};
    is_int(g4_file_read(in("absent"), 9, &s, &err), G4_EIO, "an absent file");
    ok(strstr(err.msg, "absent") && strstr(err.msg, "No such file"), "says: %s", err.msg);
    err = (g4_err){0};
    is_int(g4_map_open(&m, dir, &err), G4_EIO, "a folder cannot be mapped");
    ok(strstr(err.msg, "folder"), "says: %s", err.msg);
    is_int(g4_file_write_atomic(in("no/such/folder"), "x", 1, NULL), G4_EIO, "no folder to write into");
    g4_str_free(&s);
}

static void test_full_disk(void)
{
    char out[16];
    is_int(g4_file_write_atomic("/dev/full/x", "x", 1, NULL), G4_EIO, "a device is no folder");
    FILE *f = fopen("/dev/full", "w");
    if (ok(f != NULL, "a full device")) {
        is_int(g4_write_all(fileno(f), out, sizeof out), -1, "a write that fails is told");
        fclose(f);
    }
    char cmd[200];
    snprintf(cmd, sizeof cmd, "test \"$(ls %s | grep -c tmp)\" = 0", dir);
    is_int(system(cmd), 0, "no temporary file is left");
}

static void test_folders(void)
{
    g4_err err = {0};
    is_int(g4_mkdirs(in("x/y//z/"), 0755, &err), 0, "folders are made");
    ok(g4_is_dir(in("x/y/z")), "all of them");
    is_int(g4_mkdirs(in("x/y/z"), 0755, &err), 0, "and may exist");
    is_int(g4_mkdirs(in("a"), 0755, &err), G4_EIO, "a file in the way");
    ok(g4_file_exists(in("a")) && !g4_file_exists(dir) && !g4_is_dir(in("a")), "files and folders are told apart");
}

static void test_xdg(void)
{
    char *p;
    setenv("HOME", "/home/me", 1);
    setenv("XDG_CACHE_HOME", "/c", 1);
    is_str(p = g4_xdg_path("XDG_CACHE_HOME", ".cache", "g4"), "/c/g4", "the variable");
    free(p);
    setenv("XDG_CACHE_HOME", "relative", 1);
    is_str(p = g4_xdg_path("XDG_CACHE_HOME", ".cache", NULL), "/home/me/.cache", "a relative one is ignored");
    free(p);
    unsetenv("HOME");
    ok(!g4_xdg_path("XDG_CACHE_HOME", ".cache", NULL), "no home");
}

int main(void)
{
    if (!mkdtemp(dir)) return 1;
    test_write_read();
    test_folders();
    test_full_disk();
    char cmd[100];
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    if (system(cmd)) return 1;
    test_xdg();
    return done_testing();
}
