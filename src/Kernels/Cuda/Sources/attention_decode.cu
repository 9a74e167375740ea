// Attention of rows that are alone in their sequence's step. One thread block has up to 16 query heads of one KV head and one
// partition of 512 positions; attention_merge folds the partitions of a row in order. A row of one partition is done at once.
//
// At small batches a partition's tiles, which follow each other, are what a step waits for, so four warps share each: they
// load it together, score 16 of its keys each, and each has a quarter of the dimensions of the values. Weights are computed by
// all of them, from the same scores. Nothing of it changes the order of a sum: it is that of attend_tile.
#include "attention.cuh"

#define DECODE_WARPS (TILE_KEYS / 16)
#define DECODE_THREADS (DECODE_WARPS * WARP_LANES)
// Floats from query to query of the scores in shared memory: no bank twice for pairs of (g, 2t).
#define SCORE_STRIDE (TILE_KEYS + 8)
// Pairs of output tiles, 16 dimensions, of a warp.
#define PAIRS (HEAD_DIM / 16)
#define PAIRS_A_WARP ((PAIRS + DECODE_WARPS - 1) / DECODE_WARPS)

KREWE_KERNEL(attention_decode, AttentionArguments, DECODE_THREADS)
{
    KREWE_DYNAMIC_SHARED(shared);
    int item = blockIdx.x, queries_a_head = (args.group + 15) / 16;
    int kv_head = blockIdx.y / queries_a_head, first_query = blockIdx.y % queries_a_head * 16;
    if (item >= args.count[0]) return;
    int row = args.work[3 * item], position = args.work[3 * item + 1];
    const int* table = args.block_tables + args.work[3 * item + 2];
    int from = seen_first(args, position), end = position + 1;
    int first = blockIdx.z * PARTITION_KEYS;
    int last = min(first + PARTITION_KEYS, end);
    if (last <= from || first >= end) return;

    int tile = max(first, from / TILE_KEYS * TILE_KEYS);
    load_tile<DECODE_THREADS>(args, shared, table, kv_head, tile, end, threadIdx.x);

    int lane = threadIdx.x % WARP_LANES, warp = threadIdx.x / WARP_LANES, g = lane / 4, t = lane % 4;
    int seen_from[2] = {from, from}, seen_to[2] = {position, position};
    const element* query = args.queries + (int64_t)row * args.query_stride + kv_head * args.group * HEAD_DIM;
    uint32_t loaded[HEAD_DIM / 16][4];
    int upper = first_query + g, lower = first_query + g + 8;
    load_queries(
        loaded, upper < args.group ? query + upper * HEAD_DIM : 0, lower < args.group ? query + lower * HEAD_DIM : 0);

    AttendedTiles<2 * PAIRS_A_WARP> state;
    clear(state);
    float* scores = (float*)(TILE_OF(shared, 1) + TILE_BYTES);
    for (int stage = 0; tile < last; tile += TILE_KEYS, stage ^= 1)
    {
        copy_async_wait<0>();
        // Everybody's copies have arrived, and everybody has left the other stage, the expanded tile and the scores.
        __syncthreads();
        if (tile + TILE_KEYS < last)
            load_tile<DECODE_THREADS>(
                args, shared + (stage ^ 1) * STAGE_BYTES, table, kv_head, tile + TILE_KEYS, end, threadIdx.x);
        if (KV_INT8)
        {
            expand_tile<DECODE_THREADS>(shared, stage, tile, end, threadIdx.x);
            __syncthreads();
        }

        const uint4* keys = (const uint4*)TILE_OF(shared, stage);
        const uint4* values = keys + TILE_KEYS * VALUE_VECTORS;
        float score[TILE_KEYS / 8][4];
        score_group(score, loaded, keys, warp);
        float2* own = (float2*)(scores + g * SCORE_STRIDE + warp * 16 + 2 * t);
        for (int n = 0; n < 2; n++)
        {
            own[n * 4] = make_float2(score[n][0], score[n][1]);
            own[n * 4 + 4 * SCORE_STRIDE] = make_float2(score[n][2], score[n][3]);
        }
        __syncthreads();
        const float2* all = (const float2*)(scores + g * SCORE_STRIDE + 2 * t);
#pragma unroll
        for (int n = 0; n < TILE_KEYS / 8; n++)
        {
            float2 pair = all[n * 4], below = all[n * 4 + 4 * SCORE_STRIDE];
            score[n][0] = pair.x;
            score[n][1] = pair.y;
            score[n][2] = below.x;
            score[n][3] = below.y;
        }
        uint32_t weight[TILE_KEYS / 16][4];
        weigh_scores(state, weight, score, tile, seen_from, seen_to, args.scale);
#pragma unroll
        for (int k = 0; k < TILE_KEYS / 16; k++)
        {
#pragma unroll
            for (int i = 0; i < PAIRS_A_WARP; i++)
            {
                int pair = i * DECODE_WARPS + warp;
                if (pair >= PAIRS) continue;
                uint32_t value[4];
                load_transposed(value, values + value_vector(k * 16 + (lane / 8 & 1) * 8 + lane % 8, 2 * pair + lane / 16));
                multiply_tile(state.sum[2 * i], weight[k], value[0], value[1]);
                multiply_tile(state.sum[2 * i + 1], weight[k], value[2], value[3]);
            }
        }
    }

    bool alone = from / PARTITION_KEYS == position / PARTITION_KEYS;
    for (int i = 0; i < 2; i++)
    {
        int head = first_query + g + 8 * i;
        if (head >= args.group) continue;
        head += kv_head * args.group;
        element* output = args.output + (int64_t)row * args.output_stride + head * HEAD_DIM;
        float* partial = args.partial
            + (((int64_t)item * args.kv_heads * args.group + head) * args.partitions + blockIdx.z) * (HEAD_DIM + 2);
#pragma unroll
        for (int j = 0; j < 2 * PAIRS_A_WARP; j++)
        {
            int dim = ((j / 2 * DECODE_WARPS + warp) * 2 + j % 2) * 8 + 2 * t;
            if (dim >= HEAD_DIM) continue;
            float even = state.sum[j][2 * i], odd = state.sum[j][2 * i + 1];
            if (alone) *(uint32_t*)(output + dim) = pack(even / state.total[i], odd / state.total[i]);
            else *(float2*)(partial + dim) = make_float2(even, odd);
        }
        if (!alone && warp == 0 && t == 0)
            *(float2*)(partial + HEAD_DIM) = make_float2(state.maximum[i], state.total[i]);
    }
}
