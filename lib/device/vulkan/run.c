/* device/vulkan/run: submissions, waiting, and copies through the staging memory.
 *
 * One timeline semaphore counts all submissions.  A wait looks for progress: as
 * long as some submission ends within the limit the device is alive, however much
 * is queued. */
#define _GNU_SOURCE /* clock_gettime */
#include "device/vulkan/impl.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STAGE = 16 << 20, SPIN_NS = 50000 };

int g4_vk_run_open(struct g4_vk *vk, g4_err *err)
{
    struct g4_vk_inner *in = vk->in;
    const VkCommandPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                           .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT, .queueFamilyIndex = vk->caps.queue };
    const VkSemaphoreTypeCreateInfo type = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO, .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE };
    const VkSemaphoreCreateInfo time = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type };
    VkResult res = vk->fn->CreateCommandPool(vk->device, &pool, NULL, &in->pool);
    if (!res) res = vk->fn->CreateSemaphore(vk->device, &time, NULL, &in->time);
    const VkCommandBufferAllocateInfo one = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = in->pool,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY, .commandBufferCount = 1 };
    if (!res) res = vk->fn->AllocateCommandBuffers(vk->device, &one, &in->copy);
    if (res) return g4_vk_fail(vk, res, "opening the queue", err);
    in->staging = (struct g4_vk_arena){ .place = G4_VK_READ };
    return 0;
}

void g4_vk_run_close(struct g4_vk *vk)
{
    struct g4_vk_inner *in = vk->in;
    vk->fn->DestroyCommandPool(vk->device, in->pool, NULL);
    vk->fn->DestroySemaphore(vk->device, in->time, NULL);
    g4_vk_arena_free(vk, &in->staging);
}

int g4_vk_submit(struct g4_vk *vk, const VkCommandBuffer *cb, uint32_t n, g4_err *err)
{
    struct g4_vk_inner *in = vk->in;
    const uint64_t value = in->submitted + 1;
    const VkTimelineSemaphoreSubmitInfo times = { .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO, .signalSemaphoreValueCount = 1,
                                                  .pSignalSemaphoreValues = &value };
    const VkSubmitInfo info = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .pNext = &times, .commandBufferCount = n, .pCommandBuffers = cb,
                                .signalSemaphoreCount = 1, .pSignalSemaphores = &in->time };
    const VkResult res = vk->fn->QueueSubmit(vk->queue, 1, &info, VK_NULL_HANDLE);
    if (res) return g4_vk_fail(vk, res, "submitting work", err);
    in->submitted = value;
    return 0;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double g4_vk_seconds(void)
{
    return (double)now_ns() * 1e-9;
}

/* Seconds one submission may take before the device counts as hung. */
static double patience(const struct g4_vk *vk)
{
    const char *s = getenv("G4_VK_TIMEOUT");
    const double n = s ? strtod(s, NULL) : 0;
    return n > 0 && n < 1e6 ? n : vk->caps.type == VK_PHYSICAL_DEVICE_TYPE_CPU ? 600 : 30;
}

int g4_vk_wait(struct g4_vk *vk, g4_err *err)
{
    struct g4_vk_inner *in = vk->in;
    uint64_t seen = 0, value = 0, since = now_ns();
    const uint64_t begin = since, limit = (uint64_t)(patience(vk) * 1e9), nap = limit < 1000000000u ? limit : 1000000000u;
    if (vk->lost) return g4_fail(err, G4_EDEVICE, "the device '%s' is lost", vk->caps.name);
    for (;;) {
        const VkResult res = vk->fn->GetSemaphoreCounterValue(vk->device, in->time, &value);
        if (res) return g4_vk_fail(vk, res, "waiting", err);
        if (value >= in->submitted) return 0;
        const uint64_t now = now_ns();
        if (value != seen) seen = value, since = now;
        if (now - since > limit) {
            vk->lost = true;
            return g4_fail(err, G4_EDEVICE, "the device '%s' hangs: no answer for %g s (G4_VK_TIMEOUT=SECONDS changes the limit)",
                           vk->caps.name, (double)limit / 1e9);
        }
        if (now - begin < SPIN_NS && vk->caps.type != VK_PHYSICAL_DEVICE_TYPE_CPU) continue;
        const uint64_t next = value + 1;
        const VkSemaphoreWaitInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO, .semaphoreCount = 1, .pSemaphores = &in->time,
                                           .pValues = &next };
        const VkResult waited = vk->fn->WaitSemaphores(vk->device, &info, nap);
        if (waited && waited != VK_TIMEOUT) return g4_vk_fail(vk, waited, "waiting", err);
    }
}

/* ---- one-time commands ------------------------------------------------------------ */

VkCommandBuffer g4_vk_once(struct g4_vk *vk, g4_err *err)
{
    const VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT };
    if (g4_vk_wait(vk, err)) return VK_NULL_HANDLE;
    const VkResult res = vk->fn->BeginCommandBuffer(vk->in->copy, &begin);
    if (!res) return vk->in->copy;
    g4_vk_fail(vk, res, "recording", err);
    return VK_NULL_HANDLE;
}

/* Whatever was written is seen by whatever comes, the host included. */
int g4_vk_once_end(struct g4_vk *vk, g4_err *err)
{
    const VkMemoryBarrier all = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
                                  .dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT | VK_ACCESS_HOST_READ_BIT };
    vk->fn->CmdPipelineBarrier(vk->in->copy, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                               &all, 0, NULL, 0, NULL);
    const VkResult res = vk->fn->EndCommandBuffer(vk->in->copy);
    if (res) return g4_vk_fail(vk, res, "recording", err);
    const int rc = g4_vk_submit(vk, &vk->in->copy, 1, err);
    return rc ? rc : g4_vk_wait(vk, err);
}

/* ---- staging ------------------------------------------------------------------------ */

int g4_vk_stage(struct g4_vk *vk, uint8_t **host, VkDeviceSize *size, g4_err *err)
{
    struct g4_vk_inner *in = vk->in;
    if (!in->stage.buf) {
        const int rc = g4_vk_take(vk, &in->staging, STAGE, &in->stage, err);
        if (rc) return rc;
    }
    *host = in->stage.host;
    *size = in->stage.size;
    return g4_vk_wait(vk, err);
}

int g4_vk_stage_copy(struct g4_vk *vk, const struct g4_vk_span *to, VkDeviceSize at, VkDeviceSize n, g4_err *err)
{
    const VkBufferCopy region = { vk->in->stage.at, to->at + at, n };
    const VkCommandBuffer cb = g4_vk_once(vk, err);
    if (!cb) return G4_EDEVICE;
    vk->fn->CmdCopyBuffer(cb, vk->in->stage.buf, to->buf, 1, &region);
    return g4_vk_once_end(vk, err);
}

int g4_vk_upload(struct g4_vk *vk, const struct g4_vk_span *to, VkDeviceSize at, const void *from, VkDeviceSize n, g4_err *err)
{
    uint8_t *host;
    VkDeviceSize size;
    for (VkDeviceSize done = 0; done < n;) {
        int rc = g4_vk_stage(vk, &host, &size, err);
        if (rc) return rc;
        const VkDeviceSize some = n - done < size ? n - done : size;
        memcpy(host, (const uint8_t *)from + done, some);
        rc = g4_vk_stage_copy(vk, to, at + done, some, err);
        if (rc) return rc;
        done += some;
    }
    return 0;
}

int g4_vk_download(struct g4_vk *vk, void *to, const struct g4_vk_span *from, VkDeviceSize at, VkDeviceSize n, g4_err *err)
{
    uint8_t *host;
    VkDeviceSize size;
    for (VkDeviceSize done = 0; done < n;) {
        int rc = g4_vk_stage(vk, &host, &size, err);
        if (rc) return rc;
        const VkDeviceSize some = n - done < size ? n - done : size;
        const VkBufferCopy region = { from->at + at + done, vk->in->stage.at, some };
        const VkCommandBuffer cb = g4_vk_once(vk, err);
        if (!cb) return G4_EDEVICE;
        vk->fn->CmdCopyBuffer(cb, from->buf, vk->in->stage.buf, 1, &region);
        rc = g4_vk_once_end(vk, err);
        if (rc) return rc;
        memcpy((uint8_t *)to + done, host, some);
        done += some;
    }
    return 0;
}
