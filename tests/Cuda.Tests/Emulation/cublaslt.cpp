// The part of cuBLASLt that Krewe calls, by name and signature, as plain loops.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "calls.h"

#define EXPORT extern "C" __attribute__((visibility("default"))) int

namespace
{
struct Layout { int type; uint64_t rows, columns; int64_t stride; };
struct Description { int transpose_a = 0, transpose_b = 0; };

float read(const void* array, int type, int64_t index)
{
    if (type == 0) return ((const float*)array)[index];
    uint16_t bits = ((const uint16_t*)array)[index];
    if (type == 2)
    {
        _Float16 half;
        memcpy(&half, &bits, 2);
        return (float)half;
    }
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, 4);
    return value;
}
}

EXPORT cublasLtCreate(void** handle) { *handle = (void*)1; return emulated_call("cublasLtCreate"); }
EXPORT cublasLtDestroy(void*) { return emulated_call("cublasLtDestroy"); }
extern "C" __attribute__((visibility("default"))) size_t cublasLtGetVersion() { return 120405; }
EXPORT cublasLtMatmulDescCreate(Description** description, int, int) { *description = new Description(); return 0; }
EXPORT cublasLtMatmulDescDestroy(Description* description) { delete description; return 0; }
EXPORT cublasLtMatmulDescSetAttribute(Description* description, int attribute, const void* value, size_t bytes)
{
    if (bytes != 4) return 7;
    if (attribute == 3) memcpy(&description->transpose_a, value, 4);
    if (attribute == 4) memcpy(&description->transpose_b, value, 4);
    return 0;
}
EXPORT cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t columns, int64_t stride)
{
    *layout = new Layout{type, rows, columns, stride};
    return 0;
}
EXPORT cublasLtMatrixLayoutDestroy(Layout* layout) { delete layout; return 0; }
EXPORT cublasLtMatmulPreferenceCreate(void** preference) { *preference = (void*)1; return 0; }
EXPORT cublasLtMatmulPreferenceDestroy(void*) { return 0; }
EXPORT cublasLtMatmulPreferenceSetAttribute(void*, int, const void*, size_t) { return 0; }
EXPORT cublasLtMatmulAlgoGetHeuristic(
    void*, Description*, Layout*, Layout*, Layout*, Layout*, void*, int, void* results, int* found)
{
    memset(results, 0, 96);
    *found = 1;
    return emulated_call("cublasLtMatmulAlgoGetHeuristic");
}
EXPORT cublasLtMatmul(
    void*, Description* description, const float* alpha, const void* a, Layout* a_layout, const void* b, Layout* b_layout,
    const float* beta, const void*, Layout*, void* d, Layout* d_layout, const void*, void*, size_t, void* stream)
{
    if (int status = emulated_call("cublasLtMatmul")) return status;
    Description how = *description;
    Layout of_a = *a_layout, of_b = *b_layout, of_d = *d_layout;
    float scale = *alpha;
    if (*beta != 0) return 7;
    return emulated_push(stream, [=] {
        int64_t inner = how.transpose_a ? of_a.rows : of_a.columns;
        for (int64_t column = 0; column < (int64_t)of_d.columns; column++)
            for (int64_t row = 0; row < (int64_t)of_d.rows; row++)
            {
                float sum = 0;
                for (int64_t k = 0; k < inner; k++)
                    sum += read(a, of_a.type, how.transpose_a ? row * of_a.stride + k : k * of_a.stride + row)
                        * read(b, of_b.type, how.transpose_b ? k * of_b.stride + column : column * of_b.stride + k);
                ((float*)d)[column * of_d.stride + row] = scale * sum;
            }
        return 0;
    });
}
