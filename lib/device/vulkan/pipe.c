/* device/vulkan/pipe: pipelines, made on demand and cached on disk.
 *
 * A cache file belongs to one device, driver and set of shaders: its name is the
 * hash of them all.  It is written whole or not at all, and a file that is broken
 * or of another driver is a miss: the driver checks its header, we check a hash. */
#include "device/vulkan/impl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "device/vulkan/shader.h"

struct g4_vk_pipe {
    struct g4_vk_pipe_key key;
    const struct g4_vk_shader *shader;
    VkPipelineLayout layout;
    VkPipeline pipeline;
    VkResult res;
    bool wanted;
};

VkPipeline g4_vk_pipe_handle(const struct g4_vk_pipe *p)
{
    return p->pipeline;
}

void g4_vk_pipe_want(struct g4_vk_pipe *p)
{
    p->wanted = true;
}

static bool missing(const struct g4_vk_pipe *p)
{
    return p->wanted && !p->pipeline;
}

VkPipelineLayout g4_vk_pipe_layout(const struct g4_vk_pipe *p)
{
    return p->layout;
}

/* ---- layouts: one for each number of bindings ---------------------------------- */

VkDescriptorSetLayout g4_vk_set_layout(struct g4_vk *vk, uint32_t n_bind)
{
    VkDescriptorSetLayout *l = &vk->in->set_layout[n_bind];
    VkDescriptorSetLayoutBinding b[G4_VK_BINDS + 1];
    if (*l) return *l;
    for (uint32_t i = 0; i <= n_bind; i++)
        b[i] = (VkDescriptorSetLayoutBinding){ i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL };
    const VkDescriptorSetLayoutCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = n_bind + 1,
                                                   .pBindings = b };
    if (vk->fn->CreateDescriptorSetLayout(vk->device, &info, NULL, l)) *l = VK_NULL_HANDLE;
    return *l;
}

static VkPipelineLayout pipe_layout(struct g4_vk *vk, uint32_t n_bind)
{
    VkPipelineLayout *l = &vk->in->pipe_layout[n_bind];
    if (*l) return *l;
    const VkDescriptorSetLayout set = g4_vk_set_layout(vk, n_bind);
    const VkPushConstantRange args = { VK_SHADER_STAGE_COMPUTE_BIT, 0, 128 };
    const VkPipelineLayoutCreateInfo info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1, .pSetLayouts = &set,
                                              .pushConstantRangeCount = 1, .pPushConstantRanges = &args };
    if (!set || vk->fn->CreatePipelineLayout(vk->device, &info, NULL, l)) *l = VK_NULL_HANDLE;
    return *l;
}

/* ---- pipelines -------------------------------------------------------------------- */

static bool same_key(const struct g4_vk_pipe_key *a, const struct g4_vk_pipe_key *b)
{
    return !strcmp(a->shader, b->shader) && a->n_spec == b->n_spec && !memcmp(a->spec, b->spec, a->n_spec * sizeof *a->spec) &&
           a->n_bind == b->n_bind && a->subgroup == b->subgroup;
}

struct g4_vk_pipe *g4_vk_pipe(struct g4_vk *vk, const struct g4_vk_pipe_key *key)
{
    struct g4_vk_inner *in = vk->in;
    for (size_t i = 0; i < in->n_pipe; i++)
        if (same_key(&in->pipe[i]->key, key)) return in->pipe[i];
    struct g4_vk_pipe *p = g4_alloc(sizeof *p);
    p->key = *key;
    p->layout = pipe_layout(vk, key->n_bind);
    for (const struct g4_vk_shader *s = g4_vk_shaders; s->name; s++)
        if (!strcmp(s->name, key->shader)) p->shader = s;
    if (!p->shader) {
        fprintf(stderr, "g4: no shader '%s'\n", key->shader);
        abort();
    }
    if (in->n_pipe == in->cap_pipe) G4_GROW(in->pipe, in->cap_pipe, in->n_pipe + 1);
    return in->pipe[in->n_pipe++] = p;
}

static void make_one(struct g4_vk *vk, struct g4_vk_pipe *p)
{
    const struct g4_vk_pipe_key *k = &p->key;
    VkSpecializationMapEntry map[G4_VK_SPECS];
    VkShaderModule module = VK_NULL_HANDLE;
    for (uint32_t i = 0; i < k->n_spec; i++) map[i] = (VkSpecializationMapEntry){ i, 4 * i, 4 };
    const VkSpecializationInfo spec = { k->n_spec, map, 4 * (size_t)k->n_spec, k->spec };
    const VkShaderModuleCreateInfo mi = { .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = p->shader->bytes,
                                          .pCode = p->shader->words };
    p->res = vk->fn->CreateShaderModule(vk->device, &mi, NULL, &module);
    if (p->res) return;
    const bool sized = k->subgroup && vk->caps.subgroup_size;
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, .requiredSubgroupSize = k->subgroup };
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = VK_PIPELINE_CREATE_DISPATCH_BASE_BIT,
        .stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .pNext = sized ? &size : NULL,
                   .flags = sized ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0, .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                   .module = module, .pName = "main", .pSpecializationInfo = &spec },
        .layout = p->layout,
    };
    p->res = vk->fn->CreateComputePipelines(vk->device, vk->in->cache, 1, &info, NULL, &p->pipeline);
    vk->fn->DestroyShaderModule(vk->device, module, NULL);
}

struct work {
    struct g4_vk *vk;
    size_t next;
    pthread_mutex_t lock;
};

static void *make_some(void *arg)
{
    struct work *w = arg;
    for (;;) {
        pthread_mutex_lock(&w->lock);
        while (w->next < w->vk->in->n_pipe && !missing(w->vk->in->pipe[w->next])) w->next++;
        const size_t i = w->next++;
        pthread_mutex_unlock(&w->lock);
        if (i >= w->vk->in->n_pipe) return NULL;
        make_one(w->vk, w->vk->in->pipe[i]);
    }
}

/* Makes what is wanted and missing, on two threads where there are two cores. */
int g4_vk_pipes_make(struct g4_vk *vk, g4_err *err)
{
    struct work w = { .vk = vk, .lock = PTHREAD_MUTEX_INITIALIZER };
    pthread_t other;
    size_t n = 0;
    for (size_t i = 0; i < vk->in->n_pipe; i++) n += missing(vk->in->pipe[i]);
    if (!n) return 0;
    const bool two = n > 1 && g4_cpu_count() > 1 && !pthread_create(&other, NULL, make_some, &w);
    make_some(&w);
    if (two) pthread_join(other, NULL);
    for (size_t i = 0; i < vk->in->n_pipe; i++) {
        const struct g4_vk_pipe *p = vk->in->pipe[i];
        if (!missing(p)) continue;
        char what[128];
        snprintf(what, sizeof what, "making the pipeline '%s'", p->key.shader);
        return g4_vk_fail(vk, p->res ? p->res : VK_ERROR_UNKNOWN, what, err);
    }
    return 0;
}

void g4_vk_pipes_free(struct g4_vk *vk)
{
    struct g4_vk_inner *in = vk->in;
    for (size_t i = 0; i < in->n_pipe; i++) {
        vk->fn->DestroyPipeline(vk->device, in->pipe[i]->pipeline, NULL);
        free(in->pipe[i]);
    }
    free(in->pipe);
    for (uint32_t i = 0; i < G4_VK_BINDS + 2; i++) {
        vk->fn->DestroyPipelineLayout(vk->device, in->pipe_layout[i], NULL);
        vk->fn->DestroyDescriptorSetLayout(vk->device, in->set_layout[i], NULL);
    }
}

/* ---- the cache on disk -------------------------------------------------------------- */

enum { CACHE_MAX = 64 << 20 };

/* $XDG_CACHE_HOME/g4/vulkan-<hash>; NULL: nowhere to put it. */
static char *cache_path(const struct g4_vk *vk)
{
    const struct g4_vk_caps *c = &vk->caps;
    uint64_t h = g4_hash64(c->uuid, 16, 0);
    h = g4_hash64(c->driver_uuid, 16, h);
    h = g4_hash64(c->cache_uuid, 16, h);
    h = g4_hash64(&c->driver_version, sizeof c->driver_version, h);
    for (const struct g4_vk_shader *s = g4_vk_shaders; s->name; s++) h = g4_hash64(s->words, s->bytes, h);
    char name[64];
    snprintf(name, sizeof name, "g4/vulkan-%016llx", (unsigned long long)h);
    return g4_xdg_path("XDG_CACHE_HOME", ".cache", name);
}

void g4_vk_cache_open(struct g4_vk *vk)
{
    struct g4_vk_inner *in = vk->in;
    g4_str file = { 0 };
    uint64_t sum = 0;
    in->cache_path = cache_path(vk);
    const bool have = in->cache_path && !g4_file_read(in->cache_path, CACHE_MAX, &file, NULL) && file.n > sizeof sum;
    if (have) memcpy(&sum, file.p, sizeof sum);
    const bool whole = have && sum == g4_hash64(file.p + sizeof sum, file.n - sizeof sum, 0);
    VkPipelineCacheCreateInfo info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO };
    if (whole) info.initialDataSize = file.n - sizeof sum, info.pInitialData = file.p + sizeof sum;
    if (vk->fn->CreatePipelineCache(vk->device, &info, NULL, &in->cache)) {
        info.initialDataSize = 0;
        if (vk->fn->CreatePipelineCache(vk->device, &info, NULL, &in->cache)) in->cache = VK_NULL_HANDLE;
    }
    in->cache_size = info.initialDataSize;
    g4_str_free(&file);
}

static void write_cache(struct g4_vk *vk)
{
    struct g4_vk_inner *in = vk->in;
    size_t n = 0;
    if (!in->cache || !in->cache_path || vk->fn->GetPipelineCacheData(vk->device, in->cache, &n, NULL) || n <= in->cache_size || n > CACHE_MAX)
        return;
    uint8_t *data = g4_alloc(n + sizeof(uint64_t));
    if (!vk->fn->GetPipelineCacheData(vk->device, in->cache, &n, data + sizeof(uint64_t))) {
        const uint64_t sum = g4_hash64(data + sizeof sum, n, 0);
        char *slash = strrchr(in->cache_path, '/');
        memcpy(data, &sum, sizeof sum);
        *slash = 0;
        const int made = g4_mkdirs(in->cache_path, 0700, NULL);
        *slash = '/';
        if (!made) g4_file_write_atomic(in->cache_path, data, n + sizeof sum, NULL); /* without one the next start takes longer */
    }
    free(data);
}

void g4_vk_cache_close(struct g4_vk *vk)
{
    if (vk->device && !vk->lost) write_cache(vk);
    vk->fn->DestroyPipelineCache(vk->device, vk->in->cache, NULL);
    free(vk->in->cache_path);
}
