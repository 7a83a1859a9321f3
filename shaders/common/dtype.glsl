/* common/dtype: values of packed weight rows (lib/device/vulkan/pack.h has the layout).
 *
 * The file that includes this one declares before it
 *     DTYPE                      a constant: enum g4_dtype of the packed type
 *     uvec4 load4(uint w, uint i)  16 bytes, number i, of weight w of the op
 *     uint load1(uint w, uint i)   4 bytes, number i
 *
 * A block is 32 values.  Block types give packed signed bytes and their scale:
 *     value[j] = scale[j / 16] * byte[j] + min
 * Words lo[i] hold values 4 i .. 4 i + 3, hi[i] values 16 + 4 i .. 16 + 4 i + 3. */

const uint F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8, Q4_K = 12, Q5_K = 13, Q6_K = 14,
           IQ4_NL = 20, IQ4_XS = 23, BF16 = 30, MXFP4 = 39;

bool is_block()
{
    return DTYPE != F32 && DTYPE != F16 && DTYPE != BF16;
}

bool has_min()
{
    return DTYPE == Q4_1 || DTYPE == Q5_1 || DTYPE == Q4_K || DTYPE == Q5_K;
}

struct Row {
    uint w;      /* which weight of the op */
    uint at;     /* where the row begins, in units of 16 bytes */
    uint nb;     /* blocks of 32 in a row */
};

/* ---- scales --------------------------------------------------------------- */

uint low_words()   /* words of a block in the plane of low bits */
{
    return DTYPE == Q8_0 ? 8u : 4u;
}

uint high_words()
{
    return DTYPE == Q6_K ? 2u : DTYPE == Q5_0 || DTYPE == Q5_1 || DTYPE == Q5_K ? 1u : 0u;
}

uint byte_of(uint word, uint i)
{
    return word >> 8u * i & 255u;
}

/* The f16 in the low half of h, no infinity or NaN.  Scales of super-blocks are often below
 * 2^-14, where a device may take what unpackHalf2x16 is given for zero. */
float f16_scale(uint h)
{
    const uint m = h & 0x7fffu;
    const float v = m < 0x400u ? float(m) * 5.9604644775390625e-8 : uintBitsToFloat((m << 13u) + 0x38000000u);
    return (h & 0x8000u) != 0u ? -v : v;
}

vec2 f16_scales(uint w) /* both halves */
{
    return vec2(f16_scale(w), f16_scale(w >> 16u));
}

float half_at(Row r, uint word, uint i) /* scale number i behind word `word` of the row */
{
    const uint pair = load1(r.w, 4u * r.at + word + i / 2u);
    return f16_scale((i & 1u) == 0u ? pair : pair >> 16u);
}

vec2 scale_min_k(uint g, uvec4 s) /* group g of the super-block whose 16 bytes are s */
{
    const uint k = g & 3u;
    const vec2 d = f16_scales(s.x);
    const uint a = byte_of(s.y, k), b = byte_of(s.z, k), c = byte_of(s.w, k);
    if (g < 4u) return d * vec2(a & 63u, b & 63u);
    return d * vec2((c & 15u) | a >> 6u << 4u, c >> 4u | b >> 6u << 4u);
}

/* Scales of the two halves of block b, and the min. */
vec3 block_scales(Row r, uint b)
{
    const uint at = r.nb * (low_words() + high_words());
    if (DTYPE == Q4_1 || DTYPE == Q5_1) {
        const vec2 d = f16_scales(load1(r.w, 4u * r.at + at + b));
        return vec3(d.x, d.x, d.y);
    }
    if (DTYPE == Q4_K || DTYPE == Q5_K) {
        const vec2 d = scale_min_k(b & 7u, load4(r.w, r.at + at / 4u + b / 8u));
        return vec3(d.x, d.x, -d.y);
    }
    if (DTYPE == Q6_K) {
        const float d = half_at(r, at + r.nb / 2u, b / 8u);
        const int pair = int(load1(r.w, 4u * r.at + at + b / 2u) >> 16u * (b & 1u));
        return vec3(d * float(bitfieldExtract(pair, 0, 8)), d * float(bitfieldExtract(pair, 8, 8)), 0.0);
    }
    if (DTYPE == IQ4_XS) {
        const uint s = 4u * r.at + at + 2u * (b / 8u), g = b & 7u, head = load1(r.w, s);
        const uint l = (load1(r.w, s + 1u) >> 4u * g & 15u) | (head >> (16u + 2u * g) & 3u) << 4u;
        const float d = f16_scale(head) * (float(l) - 32.0);
        return vec3(d, d, 0.0);
    }
    if (DTYPE == MXFP4) {
        const uint e = byte_of(load1(r.w, 4u * r.at + at + b / 4u), b & 3u);
        const float d = uintBitsToFloat(e < 2u ? 0x00200000u << e : (e - 1u) << 23u);
        return vec3(d, d, 0.0);
    }
    const float d = half_at(r, at, b);
    return vec3(d, d, 0.0);
}

/* ---- quants --------------------------------------------------------------- */

/* Four 4-bit codes in the bytes of q, through a table of 16 signed bytes. */
uint levels(uint q, uvec4 table)
{
    uint v = 0u;
    for (uint c = 0u; c < 4u; c++) {
        const uint i = q >> 8u * c & 15u;
        const uint word = i < 8u ? (i < 4u ? table.x : table.y) : (i < 12u ? table.z : table.w);
        v |= byte_of(word, i & 3u) << 8u * c;
    }
    return v;
}

uint less(uint q, uint zero) /* bytes q - zero, q < 128 */
{
    return ((q | 0x80808080u) - zero * 0x01010101u) ^ 0x80808080u;
}

/* Codes of 4 to 6 bits in bytes, as signed values. */
uint signed_bytes(uint q)
{
    if (DTYPE == Q4_0) return less(q, 8u);
    if (DTYPE == Q5_0) return less(q, 16u);
    if (DTYPE == Q6_K) return less(q, 32u);
    if (DTYPE == IQ4_NL || DTYPE == IQ4_XS) /* -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113 */
        return levels(q, uvec4(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u));
    if (DTYPE == MXFP4) /* 0 1 2 3 4 6 8 12 and their negatives */
        return levels(q, uvec4(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu));
    return q;
}

/* Word i (0..3) of the low halves and of the high halves of a block: x of the result
 * values 4 i .., y values 16 + 4 i ..; low is word i of the plane, high its extra bits. */
uvec2 quant_words(uint low, uvec2 high, uint i)
{
    uvec2 q = uvec2(low, low >> 4u) & 0x0f0f0f0fu;
    if (high_words() == 1u) q |= (uvec2(high.x >> i, high.x >> (4u + i)) & 0x01010101u) << 4u;
    if (high_words() == 2u) q |= (high >> 2u * i & 0x03030303u) << 4u;
    return uvec2(signed_bytes(q.x), signed_bytes(q.y));
}

uvec2 high_bits(Row r, uint b)
{
    const uint at = 4u * r.at + 4u * r.nb + b * high_words();
    if (high_words() == 1u) return uvec2(load1(r.w, at), 0u);
    if (high_words() == 2u) return uvec2(load1(r.w, at), load1(r.w, at + 1u));
    return uvec2(0u);
}

/* All of block b of a block type. */
void block_quants(Row r, uint b, out uvec4 lo, out uvec4 hi)
{
    if (DTYPE == Q8_0) {
        lo = load4(r.w, r.at + 2u * b);
        hi = load4(r.w, r.at + 2u * b + 1u);
        return;
    }
    const uvec4 low = load4(r.w, r.at + b);
    const uvec2 high = high_bits(r, b);
    const uvec2 q0 = quant_words(low.x, high, 0u), q1 = quant_words(low.y, high, 1u), q2 = quant_words(low.z, high, 2u),
                q3 = quant_words(low.w, high, 3u);
    lo = uvec4(q0.x, q1.x, q2.x, q3.x);
    hi = uvec4(q0.y, q1.y, q2.y, q3.y);
}

vec4 bytes_f32(uint w)
{
    const int v = int(w);
    return vec4(bitfieldExtract(v, 0, 8), bitfieldExtract(v, 8, 8), bitfieldExtract(v, 16, 8), bitfieldExtract(v, 24, 8));
}

/* ---- float types, and any type ---------------------------------------------- */

vec4 bf16_f32(uvec2 w)
{
    return vec4(uintBitsToFloat(w.x << 16u), uintBitsToFloat(w.x & 0xffff0000u), uintBitsToFloat(w.y << 16u),
                uintBitsToFloat(w.y & 0xffff0000u));
}

vec4 half_f32(uvec2 w)
{
    return DTYPE == BF16 ? bf16_f32(w) : vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y));
}

/* Values 4 i .. 4 i + 3 of a row of a float type; zeros behind its end up to 16 bytes. */
vec4 float_values(Row r, uint i)
{
    if (DTYPE == F32) return uintBitsToFloat(load4(r.w, r.at + i));
    const uvec4 w = load4(r.w, r.at + i / 2u);
    return half_f32((i & 1u) == 0u ? w.xy : w.zw);
}

/* Values 4 i .. 4 i + 3 of a row of any type: for gathers, where speed is not in the decode. */
vec4 row_values(Row r, uint i)
{
    if (!is_block()) return float_values(r, i);
    const uint b = i / 8u, k = i & 7u;
    const vec3 s = block_scales(r, b);
    if (DTYPE == Q8_0) return bytes_f32(load1(r.w, 4u * r.at + 8u * b + k)) * s.x;
    const uvec2 q = quant_words(load1(r.w, 4u * r.at + 4u * b + (k & 3u)), high_bits(r, b), k & 3u);
    return bytes_f32(k < 4u ? q.x : q.y) * (k < 4u ? s.x : s.y) + s.z;
}

/* Values 4 part .. and 16 + 4 part .. of block b of a row of any type, part < 4; zeros behind the row's end. */
void block_part(Row r, uint b, uint part, uint cols, out vec4 lo, out vec4 hi)
{
    if (!is_block()) {
        const uint i = 8u * b + part;
        lo = 4u * i < cols ? float_values(r, i) : vec4(0.0);
        hi = 4u * i + 16u < cols ? float_values(r, i + 4u) : vec4(0.0);
        return;
    }
    const vec3 s = block_scales(r, b);
    uvec2 q;
    if (DTYPE == Q8_0) {
        const uint at = 4u * r.at + 8u * b + part;
        q = uvec2(load1(r.w, at), load1(r.w, at + 4u));
    } else {
        q = quant_words(load1(r.w, 4u * r.at + 4u * b + part), high_bits(r, b), part);
    }
    lo = bytes_f32(q.x) * s.x + s.z;
    hi = bytes_f32(q.y) * s.y + s.z;
}
