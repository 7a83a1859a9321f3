/* device/vulkan/shader: the SPIR-V that the build made of shaders/ (build/shaders/table.c). */
#ifndef G4_DEVICE_VULKAN_SHADER_H
#define G4_DEVICE_VULKAN_SHADER_H

#include <stddef.h>
#include <stdint.h>

struct g4_vk_shader {
    const char *name;
    const uint32_t *words;
    size_t bytes;
};
extern const struct g4_vk_shader g4_vk_shaders[]; /* ends with a NULL name */

#endif
