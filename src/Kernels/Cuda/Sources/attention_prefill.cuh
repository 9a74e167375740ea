// Attention of a sequence's chunk of rows. WARPS warps have 16 packed queries (row, head) each of one KV head and share its
// keys and values tile by tile; partitions are folded in registers, in the order and with the arithmetic of decode.
#pragma once
#include "attention.cuh"

// Where the elements of packed query `packed` of the item lie, in the queries' rows or in the output's.
KREWE_DEVICE int64_t place_of(const AttentionArguments& args, const int* work, int kv_head, int packed, int stride)
{
    int query = work[4] + packed;
    return (int64_t)(work[0] + query / args.group) * stride + (kv_head * args.group + query % args.group) * HEAD_DIM;
}

// Multiply::attend is attend_tile by whatever instruction, and does something else meanwhile or first; Multiply::publish
// makes what this thread wrote to shared memory visible to that instruction, behind the next barrier.
template <int WARPS, class Multiply>
KREWE_DEVICE void attend_chunk(const AttentionArguments& args, unsigned char* shared)
{
    const int Threads = WARPS * WARP_LANES;
    // The longest contexts first: what is left at the end of the grid is short.
    int item = args.count[0] - 1 - (int)blockIdx.x, kv_head = blockIdx.y;
    if (item < 0) return;
    const int* work = args.work + 5 * item;
    int first_position = work[1], first_query = work[4];
    const int* table = args.block_tables + work[3];
    int queries = min(work[2] * args.group - first_query, WARPS * 16);

    // Of all rows of this thread block.
    int lowest = first_position + first_query / args.group;
    int end = first_position + (first_query + queries - 1) / args.group + 1;

    // A lane's two queries; where there is none, the first one's positions and zeros.
    int packed = threadIdx.x / WARP_LANES * 16 + threadIdx.x % WARP_LANES / 4;
    int seen_from[2], seen_to[2];
    const element* of[2];
    for (int i = 0; i < 2; i++)
    {
        bool there = packed + 8 * i < queries;
        seen_to[i] = first_position + (first_query + (there ? packed + 8 * i : 0)) / args.group;
        seen_from[i] = seen_first(args, seen_to[i]);
        of[i] = there
            ? args.queries + place_of(args, work, kv_head, packed + 8 * i, args.query_stride) : (const element*)0;
    }
    uint32_t query[HEAD_DIM / 16][4];
    load_queries(query, of[0], of[1]);

    Attended whole, state;
    clear(whole);
    clear(state);
    int tile = seen_first(args, lowest) / TILE_KEYS * TILE_KEYS;
    load_tile<Threads>(args, shared, table, kv_head, tile, end, threadIdx.x);
    for (int stage = 0; tile < end; tile += TILE_KEYS, stage ^= 1)
    {
        copy_async_wait<0>();
        if (!KV_INT8) Multiply::publish();
        // Behind it the stage is there, and nobody reads the other one or the expanded tile any more.
        __syncthreads();
        if (KV_INT8)
        {
            expand_tile<Threads>(shared, stage, tile, end, threadIdx.x);
            Multiply::publish();
            __syncthreads();
        }
        Multiply::attend(state, query, TILE_OF(shared, stage), tile, seen_from, seen_to, args.scale, [&] {
            if (tile + TILE_KEYS < end)
                load_tile<Threads>(
                    args, shared + (stage ^ 1) * STAGE_BYTES, table, kv_head, tile + TILE_KEYS, end, threadIdx.x);
        });
        if ((tile + TILE_KEYS) % PARTITION_KEYS == 0 && tile + TILE_KEYS < end)
        {
            fold_partition(whole, state);
            clear(state);
        }
    }

    fold_partition(whole, state);
    for (int i = 0; i < 2; i++)
    {
        if (packed + 8 * i < queries)
            store_row(whole, i, args.output + place_of(args, work, kv_head, packed + 8 * i, args.output_stride));
    }
}
