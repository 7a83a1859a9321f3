/* device/vulkan/memory: blocks of device memory, one VkBuffer each, and what is
 * sub-allocated from them.  Nothing is allocated that the budget does not hold. */
#include "device/vulkan/impl.h"

#include <stdlib.h>

#include "base/mem.h"

enum { ALIGN = 256, SLACK = 256, LARGE = 32 << 20 };

/* What a type of memory may be; others (protected, lazily backed, AMD's device-coherent) want features or care. */
static const VkMemoryPropertyFlags PLAIN = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                           VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;

struct g4_vk_block {
    struct g4_vk_block *next;
    VkDeviceMemory memory;
    VkBuffer buffer;
    VkDeviceSize size, used;
    uint8_t *host;
    uint32_t heap;
};

/* Slack that stays free: drivers and other programs need some. */
static uint64_t reserve_of(const struct g4_vk *vk)
{
    const uint64_t some = 700ull << 20;
    return vk->caps.heap / 8 < some ? vk->caps.heap / 8 : some;
}

uint64_t g4_vk_room(struct g4_vk *vk)
{
    VkPhysicalDeviceMemoryBudgetPropertiesEXT b = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT };
    VkPhysicalDeviceMemoryProperties2 m = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &b };
    const uint32_t heap = vk->in->heap;
    uint64_t room = vk->caps.heap > vk->in->used ? vk->caps.heap - vk->in->used : 0;
    if (vk->caps.budget) {
        vk->fn->GetPhysicalDeviceMemoryProperties2(vk->phys, &m);
        const uint64_t told = b.heapBudget[heap] > b.heapUsage[heap] ? b.heapBudget[heap] - b.heapUsage[heap] : 0;
        if (told < room) room = told;
    }
    const uint64_t keep = reserve_of(vk);
    return room > keep ? room - keep : 0;
}

/* The memory types to try for a place, the best first. */
static uint32_t wanted_flags(enum g4_vk_place place, VkMemoryPropertyFlags want[3])
{
    const VkMemoryPropertyFlags visible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    switch (place) {
    case G4_VK_DEVICE: want[0] = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT; return 1;
    case G4_VK_WRITE: want[0] = visible | VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT; want[1] = visible; return 2;
    default: want[0] = visible | VK_MEMORY_PROPERTY_HOST_CACHED_BIT; want[1] = visible; return 2;
    }
}

/* First of the heap whose room is counted: a card's window to the host may be a small heap of its own. */
static VkResult allocate(struct g4_vk *vk, VkMemoryPropertyFlags flags, uint32_t types, VkDeviceSize size, struct g4_vk_block *b)
{
    const VkPhysicalDeviceMemoryProperties *m = &vk->in->mem;
    VkResult res = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (uint32_t n = 0; n < 2 * m->memoryTypeCount; n++) {
        const uint32_t i = n % m->memoryTypeCount;
        const VkMemoryPropertyFlags have = m->memoryTypes[i].propertyFlags;
        if (!(types >> i & 1) || (have & flags) != flags || have & ~PLAIN) continue;
        if ((m->memoryTypes[i].heapIndex == vk->in->heap) != (n < m->memoryTypeCount)) continue;
        const VkMemoryAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = size, .memoryTypeIndex = i };
        b->heap = m->memoryTypes[i].heapIndex;
        res = vk->fn->AllocateMemory(vk->device, &info, NULL, &b->memory);
        if (!res) return res;
    }
    return res;
}

static void block_free(struct g4_vk *vk, struct g4_vk_block *b)
{
    if (!vk->lost) { /* a hung device may still use it */
        vk->fn->DestroyBuffer(vk->device, b->buffer, NULL);
        vk->fn->FreeMemory(vk->device, b->memory, NULL); /* unmaps */
    }
    if (b->memory && b->heap == vk->in->heap) vk->in->used -= b->size;
    free(b);
}

static VkResult block_fill(struct g4_vk *vk, enum g4_vk_place place, struct g4_vk_block *b)
{
    const VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = b->size,
                                      .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                               VK_BUFFER_USAGE_TRANSFER_DST_BIT };
    VkMemoryPropertyFlags want[3];
    VkMemoryRequirements need;
    VkResult res = vk->fn->CreateBuffer(vk->device, &info, NULL, &b->buffer);
    if (res) return res;
    vk->fn->GetBufferMemoryRequirements(vk->device, b->buffer, &need);
    const uint32_t n = wanted_flags(place, want);
    for (uint32_t i = 0; i < n && !b->memory; i++) res = allocate(vk, want[i], need.memoryTypeBits, need.size, b);
    if (res) return res;
    if (b->heap == vk->in->heap) vk->in->used += b->size;
    res = vk->fn->BindBufferMemory(vk->device, b->buffer, b->memory, 0);
    if (res || place == G4_VK_DEVICE) return res;
    void *host = NULL;
    res = vk->fn->MapMemory(vk->device, b->memory, 0, VK_WHOLE_SIZE, 0, &host);
    b->host = host;
    return res;
}

static struct g4_vk_block *block_new(struct g4_vk *vk, enum g4_vk_place place, VkDeviceSize size, g4_err *err)
{
    if (place == G4_VK_DEVICE && size > g4_vk_room(vk)) {
        g4_fail(err, G4_ENOMEM, "'%s' has no room for another %.2f GiB (%.2f GiB are free); a smaller --context or -P helps", vk->caps.name,
                (double)size / (1u << 30), (double)g4_vk_room(vk) / (1u << 30));
        return NULL;
    }
    struct g4_vk_block *b = g4_alloc(sizeof *b);
    b->size = size;
    const VkResult res = block_fill(vk, place, b);
    if (!res) return b;
    g4_vk_fail(vk, res, "allocating memory", err);
    block_free(vk, b);
    return NULL;
}

int g4_vk_take(struct g4_vk *vk, struct g4_vk_arena *a, VkDeviceSize size, struct g4_vk_span *out, g4_err *err)
{
    const VkDeviceSize need = (size + SLACK + ALIGN - 1) / ALIGN * ALIGN;
    if (need > vk->caps.alloc)
        return g4_fail(err, G4_ENOMEM, "'%s' allocates no %.2f GiB in one piece", vk->caps.name, (double)need / (1u << 30));
    struct g4_vk_block *b = a->blocks;
    while (b && b->size - b->used < need) b = b->next;
    if (!b) {
        VkDeviceSize fresh = need > a->step || need > LARGE ? need : a->step; /* what is large has a block of its own: no rest is lost */
        if (fresh > vk->caps.alloc) fresh = need;
        if (a->place == G4_VK_DEVICE && fresh > g4_vk_room(vk)) fresh = need; /* the last bit goes exactly */
        b = block_new(vk, a->place, fresh, err);
        if (!b) return err && err->code ? err->code : G4_ENOMEM;
        b->next = a->blocks;
        a->blocks = b;
    }
    *out = (struct g4_vk_span){ b->buffer, b->used, size, b->host ? b->host + b->used : NULL };
    b->used += need;
    return 0;
}

void g4_vk_arena_free(struct g4_vk *vk, struct g4_vk_arena *a)
{
    while (a->blocks) {
        struct g4_vk_block *b = a->blocks;
        a->blocks = b->next;
        block_free(vk, b);
    }
}
