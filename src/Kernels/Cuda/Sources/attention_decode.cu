// Attention of rows that are alone in their sequence's step. One warp has the query heads of one KV head and one partition
// of 512 positions; attention_merge folds the partitions of a row in order. A row of one partition is done at once.
#include "attention.cuh"

KREWE_KERNEL(attention_decode, AttentionArguments, 32)
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

    int lane = threadIdx.x, g = lane / 4, t = lane % 4;
    int seen_from[2] = {from, from}, seen_to[2] = {position, position};
    const element* query = args.queries + (int64_t)row * args.query_stride + kv_head * args.group * HEAD_DIM;
    uint32_t loaded[HEAD_DIM / 16][4];
    int upper = first_query + g, lower = first_query + g + 8;
    load_queries(
        loaded, upper < args.group ? query + upper * HEAD_DIM : 0, lower < args.group ? query + lower * HEAD_DIM : 0);

    Attended state;
    clear(state);
    int tile = max(first, from / TILE_KEYS * TILE_KEYS);
    load_tile<WARP_LANES>(args, shared, table, kv_head, tile, end, lane);
    for (int stage = 0; tile < last; tile += TILE_KEYS, stage ^= 1)
    {
        if (tile + TILE_KEYS < last)
            load_tile<WARP_LANES>(
                args, shared + (stage ^ 1) * STAGE_BYTES, table, kv_head, tile + TILE_KEYS, end, lane);
        else
            copy_async_commit();
        copy_async_wait<1>();
        __syncwarp();
        if (KV_INT8)
        {
            expand_tile<WARP_LANES>(shared, stage, tile, end, lane);
            __syncwarp();
        }
        attend_tile(state, loaded, TILE_OF(shared, stage), tile, seen_from, seen_to, args.scale);
        __syncwarp();
    }

    bool alone = from / PARTITION_KEYS == position / PARTITION_KEYS;
    for (int i = 0; i < 2; i++)
    {
        int head = first_query + g + 8 * i;
        if (head >= args.group) continue;
        head += kv_head * args.group;
        if (alone)
        {
            store_row(state, i, args.output + (int64_t)row * args.output_stride + head * HEAD_DIM);
            continue;
        }
        float* partial = args.partial
            + (((int64_t)item * args.kv_heads * args.group + head) * args.partitions + blockIdx.z) * (HEAD_DIM + 2);
        for (int n = 0; n < OUTPUT_TILES; n++)
        {
            partial[n * 8 + 2 * t] = state.sum[n][2 * i];
            partial[n * 8 + 2 * t + 1] = state.sum[n][2 * i + 1];
        }
        if (t == 0)
        {
            partial[HEAD_DIM] = state.maximum[i];
            partial[HEAD_DIM + 1] = state.total[i];
        }
    }
}
