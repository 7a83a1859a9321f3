/* common/attend: a workgroup walks the keys of one KV head in tiles of 64 at
 * absolute positions, for C columns: HEADS query heads of ROWS rows.  A tile is
 * merged into the running (largest score, sum of p, sum of p V) of every column,
 * p = exp(score - largest); a column to which a tile shows nothing is left as it
 * is, bit for bit.
 *
 * The file that includes this one declares C, HEADS and ROWS (C = HEADS * ROWS).
 * q f32 [rows][n_head * D]; K, V [block][n_kv][32][D], f16 or f32; D even. */
#ifndef G4_COMMON_ATTEND
#define G4_COMMON_ATTEND

#include "shaders/common/math.glsl"
#include "shaders/common/view.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint T = 128;      /* a multiple of 64 */
layout(constant_id = 1) const uint D = 256;
layout(constant_id = 2) const uint KV_F16 = 1;

layout(push_constant) uniform Args { attend_args a; };
layout(std430, set = 0, binding = 1) readonly restrict buffer Q { float q[]; };
layout(std430, set = 0, binding = 2) readonly restrict buffer K4 { uvec4 k4[]; };
layout(std430, set = 0, binding = 2) readonly restrict buffer K1 { uint k1[]; };
layout(std430, set = 0, binding = 3) readonly restrict buffer V1 { uint v1[]; };
#ifdef MERGE
layout(std430, set = 0, binding = 4) coherent restrict buffer Dst { float dst[]; };
#else
layout(std430, set = 0, binding = 4) writeonly restrict buffer Dst { float dst[]; };
#endif

const uint TILE = 64;
const uint LANES = T / TILE;               /* invocations that share a key of the score */
const uint UNITS = (D + 7u) / 8u;          /* of 8 values */
const uint PAIRS = D / 2u;
const uint PAIRS_EACH = (PAIRS + T - 1u) / T;  /* pairs of dimensions an invocation sums up */
const uint ACC = C * PAIRS_EACH;

shared vec4 qs[C * UNITS * 2u];
shared float score[C * TILE];              /* then p */
shared float part_sum[C * TILE * LANES];
shared float part_max[C * 8u];
shared float now_s[C], keep_s[C];
shared uint block_s[TILE / 32u];           /* blocks of the tile */

shared uint row_s[ROWS], all_s[ROWS];      /* the rows: of their set, of ALL */
shared View view_s[ROWS];

struct State {                             /* of every column, in every invocation */
    float sum[C];
    vec2 acc[ACC];
    float top;                             /* of column tid */
};

/* Word (of 2 values for f16, 1 for f32) at which key slot `slot` of a block begins. */
uint key_word(uint block, uint kv_head, uint slot)
{
    return ((block * a.n_kv + kv_head) * 32u + slot) * (KV_F16 != 0u ? D / 2u : D);
}

vec2 k_pair(uint at, uint i)
{
    if (i >= PAIRS) return vec2(0.0);
    return KV_F16 != 0u ? unpackHalf2x16(k1[at + i]) : uintBitsToFloat(uvec2(k1[at + 2u * i], k1[at + 2u * i + 1u]));
}

/* Values 8 i .. 8 i + 7 of the key at word `at`. */
void k_unit(uint at, uint i, out vec4 x, out vec4 y)
{
    if (D % 8u != 0u) {
        x = vec4(k_pair(at, 4u * i), k_pair(at, 4u * i + 1u));
        y = vec4(k_pair(at, 4u * i + 2u), k_pair(at, 4u * i + 3u));
    } else if (KV_F16 != 0u) {
        const uvec4 w = k4[at / 4u + i];
        x = vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y));
        y = vec4(unpackHalf2x16(w.z), unpackHalf2x16(w.w));
    } else {
        x = uintBitsToFloat(k4[at / 4u + 2u * i]);
        y = uintBitsToFloat(k4[at / 4u + 2u * i + 1u]);
    }
}

vec2 v_pair(uint at, uint i)
{
    return KV_F16 != 0u ? unpackHalf2x16(v1[at + i]) : uintBitsToFloat(uvec2(v1[at + 2u * i], v1[at + 2u * i + 1u]));
}

void load_queries(uint head0, uint tid)
{
    for (uint i = tid; i < C * UNITS * 8u; i += T) {
        const uint c = i / (UNITS * 8u), k = i % (UNITS * 8u), row = row_s[c / HEADS];
        qs[i / 4u][i % 4u] = k < D ? q[(row * a.n_head + head0 + c % HEADS) * D + k] : 0.0;
    }
}

/* part_sum: every lane's share of q . K of its key, all columns. */
void multiply_keys(uint t0, uint lo, uint hi, uint kv_head, uint tid)
{
    const uint slot = tid / LANES, lane = tid % LANES, j = t0 + slot, block = block_s[slot / 32u];
    precise float sum[C];

    [[unroll]] for (uint c = 0u; c < C; c++) sum[c] = 0.0;
    if (slot < TILE && j >= lo && j < hi && block != G4_NO_ROW) {
        const uint at = key_word(block, kv_head, slot % 32u);
        for (uint i = lane; i < UNITS; i += LANES) {
            vec4 x, y;
            k_unit(at, i, x, y);
            [[unroll]] for (uint c = 0u; c < C; c++) {
                const vec4 u = qs[(c * UNITS + i) * 2u], w = qs[(c * UNITS + i) * 2u + 1u];
                float s = sum[c];
                s = fma(x.x, u.x, s), s = fma(x.y, u.y, s), s = fma(x.z, u.z, s), s = fma(x.w, u.w, s);
                s = fma(y.x, w.x, s), s = fma(y.y, w.y, s), s = fma(y.z, w.z, s), s = fma(y.w, w.w, s);
                sum[c] = s;
            }
        }
    }
    if (slot < TILE)
        [[unroll]] for (uint c = 0u; c < C; c++) part_sum[(c * TILE + slot) * LANES + lane] = sum[c];
}

/* score: whole, scaled, capped; NONE where the column's row does not see the key, or is
 * none of rows [first, end). */
void make_scores(uint t0, uint first, uint end, uint tid)
{
    for (uint i = tid; i < C * TILE; i += T) {
        const uint row = i / TILE / HEADS, slot = i % TILE;
        precise float s = 0.0;
        for (uint l = 0u; l < LANES; l++) s = s + part_sum[i * LANES + l];
        const bool seen = row >= first && row < end && sees(view_s[row], t0 + slot) && block_s[slot / 32u] != G4_NO_ROW;
        score[i] = seen ? soft_cap(s * a.alpha, a.cap) : NONE;
    }
}

/* The largest score of each column so far, and what earlier sums shrink by. */
void make_maxima(inout float top, uint tid)
{
    for (uint i = tid; i < C * 8u; i += T) {
        float most = NONE;
        for (uint k = 0u; k < TILE / 8u; k++) most = max(most, score[i * (TILE / 8u) + k]);
        part_max[i] = most;
    }
    barrier();
    if (tid < C) {
        float now = top;
        for (uint k = 0u; k < 8u; k++) now = max(now, part_max[tid * 8u + k]);
        now_s[tid] = now;
        keep_s[tid] = now == top ? 1.0 : exp(top - now);
        top = now;
    }
    barrier();
    for (uint i = tid; i < C * TILE; i += T) score[i] = score[i] == NONE ? 0.0 : exp(score[i] - now_s[i / TILE]);
    barrier();
}

/* acc = acc * keep + p V for this invocation's pairs of dimensions. */
void add_values(uint t0, uint lo, uint hi, uint kv_head, uint tid, inout State s)
{
    const uint from = max(lo, t0) - t0, to = min(hi, t0 + TILE) - t0;

    [[unroll]] for (uint c = 0u; c < C; c++) {
        precise float kept = s.sum[c] * keep_s[c];
        s.sum[c] = kept;
        [[unroll]] for (uint n = 0u; n < PAIRS_EACH; n++) s.acc[c * PAIRS_EACH + n] *= keep_s[c];
    }
    for (uint slot = from; slot < to; slot++) {
        const uint block = block_s[slot / 32u];
        if (block == G4_NO_ROW) continue;
        const uint at = key_word(block, kv_head, slot % 32u);
        vec2 v[PAIRS_EACH];
        [[unroll]] for (uint n = 0u; n < PAIRS_EACH; n++) v[n] = tid + n * T < PAIRS ? v_pair(at, tid + n * T) : vec2(0.0);
        [[unroll]] for (uint c = 0u; c < C; c++) {
            const float p = score[c * TILE + slot];
            precise float more = s.sum[c] + p;
            s.sum[c] = more;
            [[unroll]] for (uint n = 0u; n < PAIRS_EACH; n++)
                s.acc[c * PAIRS_EACH + n] = fma(vec2(p), v[n], s.acc[c * PAIRS_EACH + n]);
        }
    }
}

void clear(out State s)
{
    s.top = NONE;
    [[unroll]] for (uint c = 0u; c < C; c++) s.sum[c] = 0.0;
    [[unroll]] for (uint i = 0u; i < ACC; i++) s.acc[i] = vec2(0.0);
}

/* Adds the keys in [lo, hi) to the columns of rows [first, end), which are of one sequence. */
void walk(uint first, uint end, uint lo, uint hi, uint kv_head, uint tid, inout State s)
{
    const uint seq = step.data[step.head.at_seq + all_s[first]];

    for (uint t0 = lo / TILE * TILE; t0 < hi; t0 += TILE) {
        if (tid < TILE / 32u) block_s[tid] = t0 + 32u * tid < hi ? kv_block(seq, a.pool, t0 + 32u * tid) : G4_NO_ROW;
        barrier();
        multiply_keys(t0, lo, hi, kv_head, tid);
        barrier();
        make_scores(t0, first, end, tid);
        barrier();
        make_maxima(s.top, tid);
        add_values(t0, lo, hi, kv_head, tid, s);
        barrier();
    }
}

#endif
