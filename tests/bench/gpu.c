/* gpu: the limits of a Vulkan device, measured: `gpu [DEVICE]` prints NAME VALUE lines.
 *
 *   read_gbs      GB/s that a summing shader reads from device memory
 *   fma_tflops    f32 multiply-adds in registers, TFLOP/s
 *   mat_tflops    f16 * f16 + f32 on cooperative matrices in registers, where there are any
 *   gap_us        microseconds a dispatch that waits for the one before takes
 *   submit_us     from a submission of one empty dispatch to its end on the host
 *
 * tests/bench/run-gpu sets results beside them.  Medians of 5. */
#define _GNU_SOURCE /* setenv, clock_gettime */
#include "device/vulkan/impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shaders/args_bench.h"

enum { GROUP = 256, GROUPS = 4096, CHAIN = 500, RUNS = 5, READS = 8, MAT_GROUPS = 256, SUBGROUPS = 4 };

struct rig {
    struct g4_vk *vk;
    VkCommandPool pool;
    VkDescriptorPool sets;
    VkDescriptorSet set;
    VkDeviceSize bytes;         /* of the buffer that is read */
};

static void check(VkResult r, const char *what)
{
    if (!r) return;
    fprintf(stderr, "gpu: %s fails (%d)\n", what, r);
    exit(4);
}

static void give_up(const g4_err *err)
{
    fprintf(stderr, "gpu: %s\n", err->msg);
    exit(4);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void open_rig(struct rig *r, const char *which)
{
    static struct g4_vk_arena big = { .place = G4_VK_DEVICE }, small = { .place = G4_VK_DEVICE };
    struct g4_vk_span step, data, sums;
    g4_err err = { 0 };
    g4_device *d = g4_device_open(&(struct g4_device_params){ .which = which, .threads = 1 }, &err);
    if (!d) give_up(&err);
    struct g4_vk *vk = r->vk = (struct g4_vk *)(void *)d;
    r->bytes = vk->caps.range < ((VkDeviceSize)1 << 30) ? vk->caps.range / 2 : (VkDeviceSize)1 << 30;
    if (g4_vk_take(vk, &small, 256, &step, &err) || g4_vk_take(vk, &big, r->bytes, &data, &err) ||
        g4_vk_take(vk, &small, (VkDeviceSize)GROUP * GROUPS * 4, &sums, &err))
        give_up(&err);
    const VkDescriptorPoolSize size = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 3 };
    const VkDescriptorPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 1, .poolSizeCount = 1, .pPoolSizes = &size };
    const VkCommandPoolCreateInfo cmds = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, .queueFamilyIndex = vk->caps.queue };
    check(vk->fn->CreateDescriptorPool(vk->device, &pool, NULL, &r->sets), "a descriptor pool");
    check(vk->fn->CreateCommandPool(vk->device, &cmds, NULL, &r->pool), "a command pool");
    const VkDescriptorSetLayout layout = g4_vk_set_layout(vk, 2);
    const VkDescriptorSetAllocateInfo one = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO, .descriptorPool = r->sets, .descriptorSetCount = 1, .pSetLayouts = &layout };
    check(vk->fn->AllocateDescriptorSets(vk->device, &one, &r->set), "a descriptor set");
    const VkDescriptorBufferInfo info[3] = { { step.buf, step.at, 256 }, { data.buf, data.at, r->bytes }, { sums.buf, sums.at, (VkDeviceSize)GROUP * GROUPS * 4 } };
    for (uint32_t i = 0; i < 3; i++) {
        const VkWriteDescriptorSet w = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET, .dstSet = r->set, .dstBinding = i, .descriptorCount = 1,
                                         .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, .pBufferInfo = &info[i] };
        vk->fn->UpdateDescriptorSets(vk->device, 1, &w, 0, NULL);
    }
}

/* `times` dispatches of a pipeline, each behind a barrier. */
static VkCommandBuffer record_pipe(struct rig *r, const struct g4_vk_pipe_key *key, uint32_t n, uint32_t groups, uint32_t times)
{
    struct g4_vk *vk = r->vk;
    g4_err err = { 0 };
    const struct bench_args a = { n };
    struct g4_vk_pipe *pipe = g4_vk_pipe(vk, key);
    g4_vk_pipe_want(pipe);
    if (g4_vk_pipes_make(vk, &err)) give_up(&err);
    const VkCommandBufferAllocateInfo one = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = r->pool,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY, .commandBufferCount = 1 };
    const VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
    const VkMemoryBarrier all = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                                  .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT };
    VkCommandBuffer cb;
    check(vk->fn->AllocateCommandBuffers(vk->device, &one, &cb), "a command buffer");
    check(vk->fn->BeginCommandBuffer(cb, &begin), "recording");
    vk->fn->CmdBindPipeline(cb, VK_PIPELINE_BIND_POINT_COMPUTE, g4_vk_pipe_handle(pipe));
    vk->fn->CmdBindDescriptorSets(cb, VK_PIPELINE_BIND_POINT_COMPUTE, g4_vk_pipe_layout(pipe), 0, 1, &r->set, 0, NULL);
    vk->fn->CmdPushConstants(cb, g4_vk_pipe_layout(pipe), VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof a, &a);
    for (uint32_t i = 0; i < times; i++) {
        vk->fn->CmdPipelineBarrier(cb, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &all, 0, NULL, 0, NULL);
        vk->fn->CmdDispatch(cb, groups, 1, 1);
    }
    check(vk->fn->EndCommandBuffer(cb), "recording");
    return cb;
}

static VkCommandBuffer record(struct rig *r, const char *shader, uint32_t n, uint32_t groups, uint32_t times)
{
    const struct g4_vk_pipe_key key = { .shader = shader, .n_spec = 1, .spec = { GROUP }, .n_bind = 2, .args = sizeof(struct bench_args) };
    return record_pipe(r, &key, n, groups, times);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median time of a submission, microseconds; one before it warms up. */
static double time_us(struct rig *r, VkCommandBuffer cb)
{
    double t[RUNS];
    g4_err err = { 0 };
    for (int i = -1; i < RUNS; i++) {
        const double start = now_us();
        if (g4_vk_submit(r->vk, &cb, 1, &err) || g4_vk_wait(r->vk, &err)) give_up(&err);
        if (i >= 0) t[i] = now_us() - start;
    }
    qsort(t, RUNS, sizeof *t, by_value);
    return t[RUNS / 2];
}

/* TFLOP/s of the matrices; their kernels need not be in use for it. */
static double matrices(struct rig *r, uint32_t rounds, double submit)
{
    const struct g4_vk_caps *c = &r->vk->caps;
    const struct g4_vk_pipe_key key = { .shader = "bench_mat", .n_spec = 4, .spec = { SUBGROUPS * c->subgroup, c->mat_m, c->mat_n, c->mat_k },
                                        .n_bind = 2, .args = sizeof(struct bench_args), .subgroup = c->subgroup };
    const double us = time_us(r, record_pipe(r, &key, rounds, MAT_GROUPS, 1)) - submit;
    return 2.0 * c->mat_m * c->mat_n * c->mat_k * 4 * rounds * MAT_GROUPS * SUBGROUPS / us * 1e-6;
}

int main(int argc, char **argv)
{
    struct rig r;
    setenv("G4_VK_ENABLE", "coopmat", 1);
    open_rig(&r, argc > 1 ? argv[1] : "vulkan");
    const bool slow = r.vk->caps.type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    const uint32_t rounds = slow ? 64 : 16384, groups = slow ? 256 : GROUPS;
    const double submit = time_us(&r, record(&r, "bench_read", 0, 1, 1));
    const double gap = (time_us(&r, record(&r, "bench_read", 0, 1, CHAIN)) - submit) / (CHAIN - 1);
    const double read = (time_us(&r, record(&r, "bench_read", (uint32_t)(r.bytes / 16), groups, READS)) - submit) / READS;
    const double fma = time_us(&r, record(&r, "bench_fma", rounds, groups, 1)) - submit;
    printf("# %s, %s\n", r.vk->caps.name, r.vk->caps.driver);
    printf("read_gbs %.1f\nfma_tflops %.3f\ngap_us %.2f\nsubmit_us %.1f\n", (double)r.bytes / read * 1e-3,
           2.0 * 16 * rounds * GROUP * groups / fma * 1e-6, gap, submit);
    if (r.vk->caps.coopmat && r.vk->caps.subgroup_size && r.vk->caps.mat_m * r.vk->caps.mat_n <= 256)
        printf("mat_tflops %.3f\n", matrices(&r, slow ? 64 : 16384, submit));
    return 0;
}
