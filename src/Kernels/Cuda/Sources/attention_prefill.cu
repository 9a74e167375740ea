// Attention of a sequence's chunk of rows. Four warps have 64 packed queries (row, head) of one KV head and share its keys
// and values tile by tile; partitions are folded in registers, in the order and with the arithmetic of decode.
#include "attention.cuh"

#define PREFILL_WARPS 4
#define PREFILL_QUERIES (PREFILL_WARPS * 16)

KREWE_KERNEL(attention_prefill, AttentionArguments, PREFILL_WARPS * WARP_LANES)
{
    KREWE_DYNAMIC_SHARED(shared);
    int item = blockIdx.x, kv_head = blockIdx.y;
    if (item >= args.count[0]) return;
    const int* work = args.work + 5 * item;
    int first_row = work[0], first_position = work[1], rows = work[2], first_query = work[4];
    const int* table = args.block_tables + work[3];
    int queries = min(rows * args.group - first_query, PREFILL_QUERIES);

    // Of all rows of this thread block.
    int lowest = first_position + first_query / args.group;
    int end = first_position + (first_query + queries - 1) / args.group + 1;

    int lane = threadIdx.x % WARP_LANES, warp = threadIdx.x / WARP_LANES, g = lane / 4;
    int seen_from[2], seen_to[2], row[2], head[2];
    const element* query[2];
    for (int i = 0; i < 2; i++)
    {
        int packed = warp * 16 + g + 8 * i;
        bool there = packed < queries;
        packed = first_query + (there ? packed : 0);
        row[i] = there ? first_row + packed / args.group : -1;
        head[i] = kv_head * args.group + packed % args.group;
        seen_to[i] = first_position + packed / args.group;
        seen_from[i] = seen_first(args, seen_to[i]);
        query[i] = there
            ? args.queries + (int64_t)row[i] * args.query_stride + head[i] * HEAD_DIM : (const element*)0;
    }
    uint32_t loaded[HEAD_DIM / 16][4];
    load_queries(loaded, query[0], query[1]);

    Attended whole, state;
    clear(whole);
    clear(state);
    int tile = seen_first(args, lowest) / TILE_KEYS * TILE_KEYS;
    load_tile(args, shared, table, kv_head, tile, end, threadIdx.x, blockDim.x);
    for (int stage = 0; tile < end; tile += TILE_KEYS, stage ^= 1)
    {
        if (tile + TILE_KEYS < end)
            load_tile(
                args, shared + (stage ^ 1) * STAGE_BYTES, table, kv_head, tile + TILE_KEYS, end, threadIdx.x, blockDim.x);
        else
            copy_async_commit();
        copy_async_wait<1>();
        __syncthreads();
        if (KV_INT8)
        {
            expand_tile(shared, stage, tile, end, threadIdx.x, blockDim.x);
            __syncthreads();
        }
        attend_tile(state, loaded, TILE_OF(shared, stage), tile, seen_from, seen_to, args.scale);
        __syncthreads();
        if ((tile + TILE_KEYS) % PARTITION_KEYS == 0 && tile + TILE_KEYS < end)
        {
            fold_partition(whole, state);
            clear(state);
        }
    }

    fold_partition(whole, state);
    for (int i = 0; i < 2; i++)
    {
        if (row[i] >= 0) store_row(whole, i, args.output + (int64_t)row[i] * args.output_stride + head[i] * HEAD_DIM);
    }
}
