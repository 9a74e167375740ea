// Heads of one row's q, k and v: bias, norm of the head (Qwen3), rotary position (arXiv 2104.09864, pairs (i, i + half));
// queries go to a buffer, keys and values into their slot of the KV block, all rounded to what they lie there as. One warp a
// head.
#include "kv.cuh"

struct RopeKvWriteArguments
{
    Partials qkv;              // rows of [heads + 2 * kv_heads] x HEAD_DIM: queries, keys, values
    const float* bias;         // as a row; null: none
    const float* query_norm;   // [HEAD_DIM]; null: none
    const float* key_norm;     // [HEAD_DIM]; null: none
    const float* cosine;       // [positions x HEAD_DIM / 2]
    const float* sine;         // [positions x HEAD_DIM / 2]
    const int* positions;      // [rows]
    const int* slots;          // [rows] block * block_tokens + offset
    const int* count;          // rows
    element* queries;          // [rows x query_stride]
    kv_number* keys;           // this layer's keys of block 0: [kv_heads][HEAD_DIM][block_tokens]
    kv_number* values;         // this layer's values of block 0: [kv_heads][block_tokens][HEAD_DIM]
    int64_t block_stride;      // numbers from block to block
    int heads;
    int kv_heads;
    int block_tokens;
    int query_stride;
    float epsilon;
    int padding;
};

KREWE_KERNEL(rope_kv_write, RopeKvWriteArguments, 128)
{
    const int half = HEAD_DIM / 2;
    const int pairs_a_lane = (half + WARP_LANES - 1) / WARP_LANES;
    int row = blockIdx.x;
    int lane = threadIdx.x % WARP_LANES;
    int head = blockIdx.y * (blockDim.x / WARP_LANES) + threadIdx.x / WARP_LANES;
    if (row >= args.count[0] || head >= args.heads + 2 * args.kv_heads) return;

    float first[pairs_a_lane], second[pairs_a_lane];
    float squares = 0;
    for (int i = 0; i < pairs_a_lane; i++)
    {
        int pair = lane + i * WARP_LANES;
        first[i] = second[i] = 0;
        if (pair >= half) continue;
        int column = head * HEAD_DIM + pair;
        first[i] = fold(args.qkv, row, column);
        second[i] = fold(args.qkv, row, column + half);
        if (args.bias)
        {
            first[i] += args.bias[column];
            second[i] += args.bias[column + half];
        }
        squares = fmaf(first[i], first[i], squares);
        squares = fmaf(second[i], second[i], squares);
    }

    bool is_query = head < args.heads;
    bool is_value = head >= args.heads + args.kv_heads;
    const float* norm = is_value ? 0 : is_query ? args.query_norm : args.key_norm;
    float scale = 1;
    if (norm) scale = 1.0f / sqrtf(warp_sum(squares) / HEAD_DIM + args.epsilon);

    for (int i = 0; i < pairs_a_lane; i++)
    {
        int pair = lane + i * WARP_LANES;
        if (pair >= half) continue;
        float x = first[i], y = second[i];
        if (norm)
        {
            x = x * scale * norm[pair];
            y = y * scale * norm[pair + half];
        }
        first[i] = x;
        second[i] = y;
        if (is_value) continue;
        int64_t angle = (int64_t)args.positions[row] * half + pair;
        float cosine = args.cosine[angle], sine = args.sine[angle];
        first[i] = fmaf(x, cosine, -(y * sine));
        second[i] = fmaf(y, cosine, x * sine);
    }

    if (is_query)
    {
        element* target = args.queries + (int64_t)row * args.query_stride + head * HEAD_DIM;
        for (int i = 0; i < pairs_a_lane; i++)
        {
            int pair = lane + i * WARP_LANES;
            if (pair >= half) continue;
            target[pair] = to_element(first[i]);
            target[pair + half] = to_element(second[i]);
        }
        return;
    }

    int block = args.slots[row] / args.block_tokens, slot = args.slots[row] % args.block_tokens;
    int kv_head = head - args.heads - (is_value ? args.kv_heads : 0);
    kv_number* target = (is_value ? args.values : args.keys) + block * args.block_stride
        + kv_head_start(kv_head, args.block_tokens);
    // From one number of the vector to the next.
    int64_t step = is_value ? 1 : args.block_tokens;
    int64_t start = is_value ? (int64_t)slot * HEAD_DIM : slot;
#if KV_INT8
    float largest = 0;
    bool broken = false;
    for (int i = 0; i < pairs_a_lane; i++)
    {
        float x = fabsf(first[i]), y = fabsf(second[i]);
        broken |= !(x < KREWE_INFINITY && y < KREWE_INFINITY);
        largest = fmaxf(largest, fmaxf(x, y));
    }
    float of_codes = kv_scale(largest, broken);
    if (lane == 0) ((float*)(target + (int64_t)HEAD_DIM * args.block_tokens))[slot] = of_codes;
#endif
    for (int i = 0; i < pairs_a_lane; i++)
    {
        int pair = lane + i * WARP_LANES;
        if (pair >= half) continue;
#if KV_INT8
        target[start + pair * step] = kv_code(first[i], of_codes);
        target[start + (pair + half) * step] = kv_code(second[i], of_codes);
#else
        target[start + pair * step] = to_element(first[i]);
        target[start + (pair + half) * step] = to_element(second[i]);
#endif
    }
}
