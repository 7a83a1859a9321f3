/* device/cpu/kernels: the table of a vector level, made of what the templates
 * before it define. */
#ifndef G4_DEVICE_CPU_KERNELS_H
#define G4_DEVICE_CPU_KERNELS_H

const struct g4_cpu_kernel *LEVEL(kernel)(const g4_op *op)
{
    switch (op->kind) {
    case G4_OP_MATMUL:
    case G4_OP_LOGITS: return &matmul_kernel;
    case G4_OP_GATED:
    case G4_OP_GATED_PLE: return &gated_kernel;
    case G4_OP_HEADS: return &heads_kernel;
    case G4_OP_ATTEND: return &attend_kernel;
    case G4_OP_NORM: return &norm_kernel;
    case G4_OP_RESID: return &resid_kernel;
    case G4_OP_ADD: return &add_kernel;
    case G4_OP_ROUTER: return &router_kernel;
    case G4_OP_EXPERTS: return &experts_kernel;
    case G4_OP_PICK: return &pick_kernel;
    default: return g4_cpu_ref.kernel(op);
    }
}

#endif
