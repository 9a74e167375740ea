// Attention of a sequence's chunk of rows, by Hopper's wgmma: two warpgroups, 128 packed queries. Which lane has which score
// and sum is as with mma.sync, and so is every line of arithmetic between the products. That wgmma adds in mma.sync's order
// too is the GPU's affair and is tried before this kernel is used (ADR 0018).
#include "attention_prefill.cuh"
#include "wgmma.cuh"

#define WGMMA_PREFILL_WARPS 8

struct ByWgmma
{
    KREWE_DEVICE void publish() { publish_to_wgmma(); }

    template <class Other>
    KREWE_DEVICE void attend(
        Attended& state, const uint32_t (*query)[4], const unsigned char* shared, int first, const int* seen_from,
        const int* seen_to, float scale, const Other& meanwhile)
    {
        const int KeyRow = 2 * TILE_KEYS, ValueRow = 2 * COLUMN_DIMS;
        const unsigned char* values = shared + HEAD_DIM * KeyRow;
        float score[TILE_KEYS / 8][4];
        uint32_t weight[TILE_KEYS / 16][4];
#pragma unroll
        for (int n = 0; n < TILE_KEYS / 8; n++)
            for (int i = 0; i < 4; i++) score[n][i] = 0;
        wgmma_begin(score[0], TILE_KEYS / 2);
#pragma unroll
        for (int k = 0; k < HEAD_DIM / 16; k++)
            wgmma<KeyRow>(score[0], query[k], shared + k * 16 * KeyRow);
        wgmma_commit();
        meanwhile();
        wgmma_end(score[0], TILE_KEYS / 2);

        weigh_scores(state, weight, score, first, seen_from, seen_to, scale);

        hold(weight[0], TILE_KEYS / 4);
        wgmma_begin(state.sum[0], HEAD_DIM / 2);
#pragma unroll
        for (int k = 0; k < TILE_KEYS / 16; k++)
        {
#pragma unroll
            for (int column = 0; column < HEAD_DIM / COLUMN_DIMS; column++)
                wgmma<ValueRow>(
                    state.sum[column * COLUMN_DIMS / 8], weight[k],
                    values + (column * TILE_KEYS + k * 16) * ValueRow);
        }
        wgmma_commit();
        wgmma_end(state.sum[0], HEAD_DIM / 2);
    }
};

KREWE_KERNEL(attention_prefill_wgmma, AttentionArguments, WGMMA_PREFILL_WARPS * WARP_LANES)
{
    KREWE_DYNAMIC_SHARED(shared);
    attend_chunk<WGMMA_PREFILL_WARPS, ByWgmma>(args, shared);
}
