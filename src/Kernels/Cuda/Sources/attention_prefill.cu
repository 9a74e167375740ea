// Attention of a sequence's chunk of rows, by mma.sync: four warps, 64 packed queries.
#include "attention_prefill.cuh"

#define PREFILL_WARPS 4

struct ByMma
{
    KREWE_DEVICE void publish() {}

    template <class Other>
    KREWE_DEVICE void attend(
        Attended& state, const uint32_t (*query)[4], const unsigned char* shared, int first, const int* seen_from,
        const int* seen_to, float scale, const Other& first_of_all)
    {
        first_of_all();
        attend_tile(state, query, shared, first, seen_from, seen_to, scale);
    }
};

KREWE_KERNEL(attention_prefill, AttentionArguments, PREFILL_WARPS * WARP_LANES)
{
    KREWE_DYNAMIC_SHARED(shared);
    attend_chunk<PREFILL_WARPS, ByMma>(args, shared);
}
