// Keys and values in a KV block. A plane (K or V of one layer) has its heads one after the other, K as
// [HEAD_DIM][block_tokens] numbers, V as [block_tokens][HEAD_DIM]. With KV_INT8 a number is a code of -127 to 127, and behind
// a head's codes lie the scales [block_tokens] of its slots: element = code x scale, rounded once.
//
// A scale is of one token's vector of one head and of nothing else: neither chunks nor neighbours change its bits.
#pragma once
#include "krewe.cuh"

#if KV_INT8
typedef int8_t kv_number;
#define KV_VECTOR_NUMBERS (HEAD_DIM + 4)  // a float is as long as four codes
#else
typedef element kv_number;
#define KV_VECTOR_NUMBERS HEAD_DIM
#endif

// Numbers before a head's first one in its plane.
KREWE_DEVICE int64_t kv_head_start(int kv_head, int block_tokens)
{
    return (int64_t)kv_head * block_tokens * KV_VECTOR_NUMBERS;
}

#if KV_INT8
// The scale of a vector, from what each lane has of it: its largest magnitude and whether it saw one that is no number. A
// maximum passes over NaN; a fault in a model must stay visible.
KREWE_DEVICE float kv_scale(float largest, bool broken)
{
    for (int distance = 16; distance > 0; distance >>= 1)
        largest = fmaxf(largest, __shfl_xor_sync(ALL_LANES, largest, distance));
    return __any_sync(ALL_LANES, broken) ? __int_as_float(0x7fffffff) : largest / 127.0f;
}

KREWE_DEVICE kv_number kv_code(float value, float scale)
{
    return scale > 0 ? (kv_number)fminf(fmaxf(rintf(value / scale), -127.0f), 127.0f) : (kv_number)0;
}
#endif
