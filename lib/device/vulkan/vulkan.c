/* device/vulkan/vulkan: opening, choosing and listing devices, and the table of
 * the device's functions. */
#define _GNU_SOURCE /* strcasestr */
#include "device/vulkan/impl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"

int g4_vk_fail(struct g4_vk *vk, VkResult res, const char *what, g4_err *err)
{
    const char *name = vk->caps.name;
    switch (res) {
    case VK_ERROR_DEVICE_LOST:
        vk->lost = true;
        return g4_fail(err, G4_EDEVICE, "the device '%s' was lost while %s (reset by its driver or another program); start again, or use -d cpu",
                       name, what);
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return g4_fail(err, G4_ENOMEM, "the device '%s' has no memory left (%s); a smaller --context or -P helps, or -d cpu", name, what);
    case VK_ERROR_OUT_OF_HOST_MEMORY: return g4_fail(err, G4_ENOMEM, "no memory left for the driver of '%s' (%s)", name, what);
    default: return g4_fail(err, G4_EDEVICE, "the device '%s' failed: %s (error %d)", name, what, res);
    }
}

/* ---- the devices of this machine ------------------------------------------------ */

struct found {
    VkPhysicalDevice phys;
    struct g4_vk_caps caps;
    const char *why;           /* not NULL: g4 cannot use it */
};

/* Of two drivers of one GPU the first that was found, but Mesa's before AMD's, which loses most of its speed at depth. */
static bool better(const struct g4_vk_caps *a, const struct g4_vk_caps *b)
{
    return a->driver_id == VK_DRIVER_ID_MESA_RADV && b->driver_id != VK_DRIVER_ID_MESA_RADV;
}

/* Usable ones by rank, each GPU once; then the others.  Gives back how many are usable. */
static uint32_t find(const struct g4_vk_instance *in, struct found *f, uint32_t *n_all)
{
    uint32_t n = 0, all;
    struct found *seen = g4_alloc(in->n_device * sizeof *seen);
    for (uint32_t i = 0; i < in->n_device; i++) {
        seen[i].phys = in->devices[i];
        const char *why = NULL;
        if (!g4_vk_caps_read(&in->fn, in->devices[i], &seen[i].caps, &why)) seen[i].why = why;
        for (uint32_t o = 0; o < i; o++)
            if (!seen[i].why && !seen[o].why && !memcmp(seen[i].caps.uuid, seen[o].caps.uuid, 16))
                seen[better(&seen[i].caps, &seen[o].caps) ? o : i].why = "another driver shows it too";
    }
    for (int rank = 0; rank < 4; rank++)
        for (uint32_t i = 0; i < in->n_device; i++)
            if (!seen[i].why && g4_vk_rank(&seen[i].caps) == rank) f[n++] = seen[i];
    all = n;
    for (uint32_t i = 0; i < in->n_device; i++)
        if (seen[i].why) f[all++] = seen[i];
    free(seen);
    *n_all = all;
    return n;
}

static void uuid_text(const uint8_t *u, char out[33])
{
    for (int i = 0; i < 16; i++) snprintf(out + 2 * i, 3, "%02x", u[i]);
}

/* The hexadecimal digits of a UUID, dashes left out: at least eight, all of them leading. */
static bool is_uuid(const char *s, const uint8_t *uuid)
{
    char want[33];
    size_t n = 0;
    uuid_text(uuid, want);
    for (; *s; s++) {
        if (*s == '-') continue;
        if (n == 32 || tolower((unsigned char)*s) != want[n]) return false;
        n++;
    }
    return n >= 8;
}

/* vulkan: the first that is not a CPU; vulkan:N, vulkan:UUID, vulkan:part-of-NAME. */
static const struct found *choose(const struct found *f, uint32_t n, const char *which, g4_err *err)
{
    const char *s = which[6] == ':' ? which + 7 : "";
    char *end;
    if (!*s) {
        if (n && g4_vk_rank(&f[0].caps) < 3) return &f[0];
        if (n) g4_fail(err, G4_EDEVICE, "no GPU here that Vulkan can use; '%s' is a CPU and taken only by name (-d vulkan:%.8s)", f[0].caps.name, f[0].caps.name);
        else g4_fail(err, G4_EDEVICE, "no device here that Vulkan can use");
        return NULL;
    }
    const unsigned long number = strtoul(s, &end, 10);
    if (!*end && isdigit((unsigned char)*s) && strlen(s) < 4) {
        if (number < n && g4_vk_rank(&f[number].caps) < 3) return &f[number];
        if (number < n) g4_fail(err, G4_EUSAGE, "Vulkan device %lu, '%s', is a CPU and taken only by name", number, f[number].caps.name);
        else g4_fail(err, G4_EUSAGE, "no Vulkan device %lu here (there are %u; --list-devices shows them)", number, n);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++)
        if (is_uuid(s, f[i].caps.uuid)) return &f[i];
    for (uint32_t i = 0; i < n; i++)
        if (strcasestr(f[i].caps.name, s)) return &f[i];
    g4_fail(err, G4_EUSAGE, "no Vulkan device named '%s' here (--list-devices shows them)", s);
    return NULL;
}

void g4_vulkan_list(g4_str *out, bool verbose)
{
    g4_err err = { 0 };
    const struct g4_vk_instance *in = g4_vk_instance_get(&err);
    if (!in) {
        if (verbose) g4_str_addf(out, "vulkan  none: %s\n", err.msg);
        return;
    }
    struct found *f = g4_alloc(in->n_device * sizeof *f);
    uint32_t all, n = find(in, f, &all);
    for (uint32_t i = 0; i < n; i++) {
        g4_str_addf(out, "vulkan:%u  ", i);
        g4_vk_caps_text(&f[i].caps, out);
        g4_str_addc(out, '\n');
        if (!verbose) continue;
        char uuid[33];
        uuid_text(f[i].caps.uuid, uuid);
        g4_str_addf(out, "          uuid %s, largest binding %llu MiB, largest allocation %llu MiB, shared memory %u KiB, %u invocations\n", uuid,
                    (unsigned long long)f[i].caps.range >> 20, (unsigned long long)f[i].caps.alloc >> 20, f[i].caps.shared >> 10, f[i].caps.invocations);
    }
    for (uint32_t i = n; verbose && i < all; i++) g4_str_addf(out, "vulkan  %s: not usable: %s\n", f[i].caps.name, f[i].why);
    free(f);
}

/* ---- opening ---------------------------------------------------------------------- */

/* A device that was only slow gets two seconds more: threads of its driver that still work when the process ends
 * may bring it down. */
static void let_finish(struct g4_vk *vk)
{
    const VkSemaphoreWaitInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO, .semaphoreCount = 1, .pSemaphores = &vk->in->time,
                                       .pValues = &vk->in->submitted };
    if (vk->in->time) vk->fn->WaitSemaphores(vk->device, &info, 2000000000u);
}

static void vulkan_close(g4_device *d)
{
    struct g4_vk *vk = (struct g4_vk *)(void *)d;
    if (vk->device && vk->lost) let_finish(vk);
    if (vk->device && !vk->lost) { /* nothing can be asked of a lost or hung one; it ends with the process */
        vk->fn->DeviceWaitIdle(vk->device);
        g4_vk_weights_free(vk);
        g4_vk_pipes_free(vk);
        g4_vk_cache_close(vk);
        g4_vk_run_close(vk);
        vk->fn->DestroyDevice(vk->device, NULL);
    }
    free(vk->in);
    free(vk);
}

static int vulkan_weight(g4_device *d, g4_weight *w, g4_err *err)
{
    const g4_dtype_info *t = g4_dtype_get(w->type);
    if (!t || !t->decode) return g4_fail(err, G4_EUNSUP, "tensor '%s' has a type that cannot be computed with", w->name ? w->name : "");
    return 0; /* goes to the device when a plan multiplies with it */
}

static int vulkan_wait(g4_device *d, g4_err *err)
{
    return g4_vk_wait((struct g4_vk *)(void *)d, err);
}

static struct g4_device_room vulkan_room(g4_device *d)
{
    struct g4_vk *vk = (struct g4_vk *)(void *)d;
    const uint64_t room = g4_vk_room(vk), own = 32 << 20; /* staging, steps */
    return (struct g4_device_room){ room > own ? room - own : 0, vk->caps.range < vk->caps.alloc - 4096 ? vk->caps.range : vk->caps.alloc - 4096 };
}

static uint64_t vulkan_weight_bytes(g4_device *d, const g4_weight *w)
{
    struct g4_vk_pack pack;
    return g4_vk_pack_for((struct g4_vk *)(void *)d, w, &pack) ? (uint64_t)pack.row_bytes * w->rows * w->n : 0;
}

static const struct g4_device_ops vulkan_ops = {
    .name = "vulkan", .close = vulkan_close, .weight = vulkan_weight, .kv_new = g4_vk_kv_new, .kv_free = g4_vk_kv_free,
    .kv_copy = g4_vk_kv_copy, .plan_new = g4_vk_plan_new, .plan_free = g4_vk_plan_free, .plan_run = g4_vk_plan_run, .wait = vulkan_wait,
    .buf_read = g4_vk_buf_read, .buf_write = g4_vk_buf_write, .room = vulkan_room, .weight_bytes = vulkan_weight_bytes,
};

static int open_device(struct g4_vk *vk, g4_err *err)
{
    VkPhysicalDeviceMemoryProperties2 m = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2 };
    VkResult res = VK_SUCCESS;
    vk->device = g4_vk_device_new(vk->fn, vk->phys, &vk->caps, &res);
    if (!vk->device) return g4_vk_fail(vk, res, "opening it", err);
    const int rc = g4_vk_load_device(&vk->in->fn, vk->device, err);
    if (rc) {
        if (vk->fn->DestroyDevice) vk->fn->DestroyDevice(vk->device, NULL);
        vk->device = VK_NULL_HANDLE;
        return rc;
    }
    static const double rates[] = { 1e12, 1e11, 1e11, 2e9 }; /* a first guess, on the low side */
    vk->in->rate = rates[g4_vk_rank(&vk->caps)];
    vk->fn->GetDeviceQueue(vk->device, vk->caps.queue, 0, &vk->queue);
    vk->fn->GetPhysicalDeviceMemoryProperties2(vk->phys, &m);
    vk->in->mem = m.memoryProperties;
    vk->in->heap = vk->caps.heap_index;
    vk->in->weights = (struct g4_vk_arena){ .place = G4_VK_DEVICE, .step = 256 << 20 };
    vk->in->consts = (struct g4_vk_arena){ .place = G4_VK_DEVICE, .step = 1 << 20 };
    g4_vk_cache_open(vk);
    return g4_vk_run_open(vk, err);
}

g4_device *g4_vulkan_open(const struct g4_device_params *p, g4_err *err)
{
    const struct g4_vk_instance *in = g4_vk_instance_get(err);
    if (!in) return NULL;
    struct found *f = g4_alloc(in->n_device * sizeof *f);
    uint32_t all, n = find(in, f, &all);
    for (uint32_t i = n; i < all; i++) g4_log(G4_LOG_VERBOSE, "vulkan: '%s' is not usable: %s", f[i].caps.name, f[i].why);
    const struct found *chosen = choose(f, n, p->which, err);
    if (!chosen) {
        free(f);
        return NULL;
    }
    struct g4_vk *vk = g4_alloc(sizeof *vk);
    vk->in = g4_alloc(sizeof *vk->in);
    vk->in->fn = in->fn;
    vk->fn = &vk->in->fn;
    vk->caps = chosen->caps;
    vk->phys = chosen->phys;
    vk->dev.ops = &vulkan_ops;
    vk->dev.threads = 1;
    free(f);
    snprintf(vk->dev.info, sizeof vk->dev.info, "vulkan %.50s", vk->caps.name);
    if (!open_device(vk, err)) return &vk->dev;
    vulkan_close(&vk->dev);
    return NULL;
}
