/* tests/vulkan: the device that the tests of ops and vectors use. */
#ifndef G4_TESTS_VULKAN_H
#define G4_TESTS_VULKAN_H

#include <stdlib.h>

#include "device/device.h"

/* A Vulkan device to test on: G4_TEST_VULKAN, else Mesa's CPU one; NULL: none here. */
static inline const char *vulkan_here(void)
{
    const char *name = getenv("G4_TEST_VULKAN");
    if (!name) name = "vulkan:llvmpipe";
    g4_device *d = g4_device_open(&(struct g4_device_params){ .which = name, .threads = 1 }, NULL);
    if (!d) return NULL;
    g4_device_close(d);
    return name;
}

#endif
