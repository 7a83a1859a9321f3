/* vulkan: a Vulkan loader in front of the real one, which makes Mesa's CPU device look like a card and lets calls fail.
 * Tests put it where libvulkan.so.1 is looked for (LD_LIBRARY_PATH).
 *
 *   SHIM_VULKAN=PATH      the real loader
 *   SHIM_CARD=1           a discrete card: memory of its own that the host cannot see, a small window into it, system memory
 *                         cached or not, and types that want features g4 does not enable; workgroups of 256; no more than
 *                         SHIM_HEAP bytes (1 GiB unless set) of memory of its own, and what is allocated holds NaNs
 *   SHIM_FAIL=CALL:N:RES  the Nth vkCALL gives the VkResult RES; a lost device (-4) stays lost, and full memory (-2) full; RES
 *                         1000: a submission that never ends
 *   SHIM_PLAIN=1          dispatches of a part of a grid are recorded as if they began at 0, with wrong results: Debian 12's
 *                         synchronisation validation does not look at vkCmdDispatchBase
 *   SHIM_FREE=1           no barrier is recorded
 *   SHIM_MARK=FILE        is made when that happened: without it N was past the last call
 *
 * What no card would forgive ends the process: memory of a type that may not be used, mapping what the host cannot see, a
 * dispatch of more than 65535 workgroups. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

enum { NEVER = 1000 };
#define HAVE(x) VK_MEMORY_PROPERTY_##x##_BIT

enum { CARD, SYSTEM, WINDOW, HEAPS, TYPES = 8, BLOCKS = 4096, MOST_GROUPS = 65535 };
static const struct {
    VkMemoryPropertyFlags flags;
    unsigned heap;
    int fine;                  /* g4 may take it */
} types[TYPES] = {
    { 0, SYSTEM, 0 },
    { HAVE(DEVICE_LOCAL), CARD, 1 },
    { HAVE(HOST_VISIBLE), SYSTEM, 0 }, /* not coherent: would want flushes */
    { HAVE(HOST_VISIBLE) | HAVE(HOST_COHERENT), SYSTEM, 1 },
    { HAVE(HOST_VISIBLE) | HAVE(HOST_COHERENT) | HAVE(HOST_CACHED), SYSTEM, 1 },
    { HAVE(DEVICE_LOCAL) | HAVE(HOST_VISIBLE) | HAVE(HOST_COHERENT), WINDOW, 1 },
    { HAVE(DEVICE_LOCAL) | VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD, CARD, 0 },
    { HAVE(DEVICE_LOCAL) | HAVE(PROTECTED), CARD, 0 },
};
static VkDeviceSize heap_size[HEAPS] = { 1u << 30, 4ull << 30, 16 << 20 }, heap_used[HEAPS];
static struct { VkDeviceMemory memory; VkDeviceSize size; unsigned type; } block[BLOCKS];
static unsigned n_block;

static PFN_vkGetInstanceProcAddr real_instance;
static PFN_vkGetDeviceProcAddr real_device;
static int card, plain, without, lost, full;
static VkDevice the_device;
static char fail_call[40];
static long fail_nth;
static int fail_result;

/* The entry points of the device and the instance that wrappers call. */
#define WRAPPED(X) \
    X(GetPhysicalDeviceProperties2) X(GetPhysicalDeviceMemoryProperties2) X(AllocateMemory) X(FreeMemory) X(MapMemory) X(CreateBuffer) \
    X(CreateComputePipelines) X(CreateDescriptorPool) X(QueueSubmit) X(WaitSemaphores) X(GetSemaphoreCounterValue) X(CmdDispatch) \
    X(CmdDispatchBase) X(CmdPipelineBarrier) X(GetBufferMemoryRequirements) X(CreateDevice) X(BeginCommandBuffer)
#define REAL(name) static PFN_vk##name real_##name;
WRAPPED(REAL)

static void die(const char *what, unsigned long n)
{
    fprintf(stderr, "shim: %s (%lu)\n", what, n);
    abort();
}

static void setup(void)
{
    const char *path = getenv("SHIM_VULKAN"), *f = getenv("SHIM_FAIL"), *heap = getenv("SHIM_HEAP");
    void *lib = dlopen(path ? path : "", RTLD_NOW | RTLD_LOCAL);
    if (!lib) die("SHIM_VULKAN names no loader", 0);
    void *get = dlsym(lib, "vkGetInstanceProcAddr");
    memcpy(&real_instance, &get, sizeof get);
    card = getenv("SHIM_CARD") != NULL;
    plain = getenv("SHIM_PLAIN") != NULL;
    without = getenv("SHIM_FREE") != NULL;
    if (heap) heap_size[CARD] = strtoull(heap, NULL, 0);
    if (f && sscanf(f, "%39[^:]:%ld:%d", fail_call, &fail_nth, &fail_result) != 3) die("SHIM_FAIL is not CALL:N:RES", 0);
}

/* The result that this call fails with; 0: it does not. */
static VkResult fails(const char *name)
{
    if (lost) return VK_ERROR_DEVICE_LOST;
    if (strcmp(fail_call, name) != 0) return VK_SUCCESS;
    if (full) return (VkResult)fail_result;
    if (__atomic_sub_fetch(&fail_nth, 1, __ATOMIC_RELAXED) != 0) return VK_SUCCESS;
    const char *mark = getenv("SHIM_MARK");
    FILE *made = mark ? fopen(mark, "w") : NULL;
    if (made) fclose(made);
    lost = fail_result == VK_ERROR_DEVICE_LOST;
    full = fail_result == VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (lost && the_device) ((PFN_vkDeviceWaitIdle)real_device(the_device, "vkDeviceWaitIdle"))(the_device); /* nothing runs on it */
    return (VkResult)fail_result;
}

/* ---- what the device is ------------------------------------------------------------ */

static void VKAPI_CALL GetPhysicalDeviceProperties2(VkPhysicalDevice p, VkPhysicalDeviceProperties2 *out)
{
    real_GetPhysicalDeviceProperties2(p, out);
    if (!card) return;
    out->properties.deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    snprintf(out->properties.deviceName, sizeof out->properties.deviceName, "Paper Card 9000");
    out->properties.limits.maxComputeWorkGroupInvocations = out->properties.limits.maxComputeWorkGroupSize[0] = 256;
}

static void VKAPI_CALL GetPhysicalDeviceMemoryProperties2(VkPhysicalDevice p, VkPhysicalDeviceMemoryProperties2 *out)
{
    real_GetPhysicalDeviceMemoryProperties2(p, out);
    if (!card) return;
    VkPhysicalDeviceMemoryProperties *m = &out->memoryProperties;
    m->memoryTypeCount = TYPES;
    m->memoryHeapCount = HEAPS;
    for (unsigned i = 0; i < TYPES; i++) m->memoryTypes[i] = (VkMemoryType){ types[i].flags, types[i].heap };
    for (unsigned i = 0; i < HEAPS; i++) m->memoryHeaps[i] = (VkMemoryHeap){ heap_size[i], i == SYSTEM ? 0 : VK_MEMORY_HEAP_DEVICE_LOCAL_BIT };
}

static void VKAPI_CALL GetBufferMemoryRequirements(VkDevice d, VkBuffer b, VkMemoryRequirements *out)
{
    real_GetBufferMemoryRequirements(d, b, out);
    if (card) out->memoryTypeBits = 0x7f; /* not the protected ones */
}

static VkResult VKAPI_CALL CreateDevice(VkPhysicalDevice p, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *a, VkDevice *out)
{
    const VkResult res = fails("CreateDevice");
    return res ? res : real_CreateDevice(p, info, a, out);
}

/* ---- memory --------------------------------------------------------------------------- */

/* What a program that reads memory it never wrote would get. */
static void spoil(VkDevice d, VkDeviceMemory memory, VkDeviceSize size)
{
    static PFN_vkUnmapMemory unmap;
    void *p;
    if (!unmap) unmap = (PFN_vkUnmapMemory)real_device(d, "vkUnmapMemory");
    if (real_MapMemory(d, memory, 0, VK_WHOLE_SIZE, 0, &p)) return;
    memset(p, 0xff, size);
    unmap(d, memory);
}

static VkResult VKAPI_CALL AllocateMemory(VkDevice d, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *a, VkDeviceMemory *out)
{
    VkMemoryAllocateInfo own = *info;
    VkResult res = fails("AllocateMemory");
    if (res || !card) return res ? res : real_AllocateMemory(d, info, a, out);
    const unsigned type = info->memoryTypeIndex, heap = type < TYPES ? types[type].heap : 0;
    if (type >= TYPES || !types[type].fine) die("memory of a type that may not be used", type);
    if (heap_used[heap] + info->allocationSize > heap_size[heap]) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (n_block == BLOCKS) return VK_ERROR_TOO_MANY_OBJECTS;
    own.memoryTypeIndex = 0;
    res = real_AllocateMemory(d, &own, a, out);
    if (res) return res;
    spoil(d, *out, info->allocationSize);
    heap_used[heap] += info->allocationSize;
    block[n_block].memory = *out;
    block[n_block].size = info->allocationSize;
    block[n_block++].type = type;
    return VK_SUCCESS;
}

static void VKAPI_CALL FreeMemory(VkDevice d, VkDeviceMemory memory, const VkAllocationCallbacks *a)
{
    for (unsigned i = 0; i < n_block; i++) {
        if (block[i].memory != memory) continue;
        heap_used[types[block[i].type].heap] -= block[i].size;
        block[i] = block[--n_block];
        break;
    }
    real_FreeMemory(d, memory, a);
}

static VkResult VKAPI_CALL MapMemory(VkDevice d, VkDeviceMemory memory, VkDeviceSize at, VkDeviceSize size, VkMemoryMapFlags flags, void **out)
{
    for (unsigned i = 0; i < n_block; i++)
        if (block[i].memory == memory && !(types[block[i].type].flags & HAVE(HOST_VISIBLE))) die("mapping what the host cannot see", block[i].type);
    const VkResult res = fails("MapMemory");
    return res ? res : real_MapMemory(d, memory, at, size, flags, out);
}

/* ---- calls that may fail ------------------------------------------------------------------ */

#define FAILING(name, params, args) \
    static VkResult VKAPI_CALL name params \
    { \
        const VkResult res = fails(#name); \
        return res ? res : real_##name args; \
    }
FAILING(CreateBuffer, (VkDevice d, const VkBufferCreateInfo *i, const VkAllocationCallbacks *a, VkBuffer *o), (d, i, a, o))
FAILING(CreateComputePipelines, (VkDevice d, VkPipelineCache c, uint32_t n, const VkComputePipelineCreateInfo *i, const VkAllocationCallbacks *a, VkPipeline *o),
        (d, c, n, i, a, o))
FAILING(CreateDescriptorPool, (VkDevice d, const VkDescriptorPoolCreateInfo *i, const VkAllocationCallbacks *a, VkDescriptorPool *o), (d, i, a, o))
FAILING(BeginCommandBuffer, (VkCommandBuffer c, const VkCommandBufferBeginInfo *i), (c, i))
FAILING(GetSemaphoreCounterValue, (VkDevice d, VkSemaphore s, uint64_t *v), (d, s, v))
FAILING(WaitSemaphores, (VkDevice d, const VkSemaphoreWaitInfo *i, uint64_t t), (d, i, t))

static VkResult VKAPI_CALL QueueSubmit(VkQueue q, uint32_t n, const VkSubmitInfo *s, VkFence f)
{
    const VkResult res = fails("QueueSubmit");
    if ((int)res == NEVER) return VK_SUCCESS;
    return res ? res : real_QueueSubmit(q, n, s, f);
}

static void check_groups(uint32_t x, uint32_t y, uint32_t z)
{
    if (x > MOST_GROUPS || y > MOST_GROUPS || z > MOST_GROUPS) die("a dispatch of too many workgroups", x > y ? x : y);
}

static void VKAPI_CALL CmdDispatch(VkCommandBuffer c, uint32_t x, uint32_t y, uint32_t z)
{
    check_groups(x, y, z);
    real_CmdDispatch(c, x, y, z);
}

static void VKAPI_CALL CmdDispatchBase(VkCommandBuffer c, uint32_t bx, uint32_t by, uint32_t bz, uint32_t x, uint32_t y, uint32_t z)
{
    check_groups(bx + x, by + y, bz + z);
    if (plain) real_CmdDispatch(c, x, y, z);
    else real_CmdDispatchBase(c, bx, by, bz, x, y, z);
}

static void VKAPI_CALL CmdPipelineBarrier(VkCommandBuffer c, VkPipelineStageFlags from, VkPipelineStageFlags to, VkDependencyFlags f, uint32_t n,
                                          const VkMemoryBarrier *m, uint32_t nb, const VkBufferMemoryBarrier *b, uint32_t ni, const VkImageMemoryBarrier *i)
{
    if (!without) real_CmdPipelineBarrier(c, from, to, f, n, m, nb, b, ni, i);
}

/* ---- entry points ----------------------------------------------------------------------------- */

static PFN_vkVoidFunction VKAPI_CALL GetDeviceProcAddr(VkDevice d, const char *name);

#define WRAP(n) \
    if (!strcmp(name, "vk" #n) && real) { \
        real_##n = (PFN_vk##n)real; \
        return (PFN_vkVoidFunction)n; \
    }

static PFN_vkVoidFunction wrapped(const char *name, PFN_vkVoidFunction real)
{
    WRAPPED(WRAP)
    return real;
}

static PFN_vkVoidFunction VKAPI_CALL GetDeviceProcAddr(VkDevice d, const char *name)
{
    the_device = d;
    return wrapped(name, real_device(d, name));
}

__attribute__((visibility("default"))) VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance i, const char *name)
{
    if (!real_instance) setup();
    PFN_vkVoidFunction real = real_instance(i, name);
    if (strcmp(name, "vkGetDeviceProcAddr") != 0) return wrapped(name, real);
    real_device = (PFN_vkGetDeviceProcAddr)real;
    return (PFN_vkVoidFunction)GetDeviceProcAddr;
}
