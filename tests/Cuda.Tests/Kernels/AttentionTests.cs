using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Kernels.Tests;

namespace Krewe.Cuda.Tests.Kernels;

/// <summary>Paged attention on the emulated GPU: right, and a token's row the same bits in decode and in any chunk.
/// </summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class AttentionTests : IDisposable
{
    /// <summary>The bundled model's: its kernels are compiled once for all tests.</summary>
    private const int Dim = 64;

    private readonly Gpu _gpu = new();

    public void Dispose() => _gpu.Dispose();

    [EmulatedTheory]
    [InlineData(1, 4, 4, null, 64, 16, KvFormat.BF16)]
    [InlineData(63, 6, 2, null, 64, 16, KvFormat.BF16)]
    [InlineData(65, 7, 1, 33, 64, 32, KvFormat.BF16)]
    [InlineData(130, 4, 2, null, 32, 48, KvFormat.F16)]
    [InlineData(530, 2, 1, null, 64, 16, KvFormat.BF16)]
    [InlineData(1040, 2, 1, 540, 32, 16, KvFormat.F16)]
    [InlineData(40, 20, 1, null, 32, 16, KvFormat.F16)]
    public void Decodes_and_chunks_are_right_and_the_same_bits(
        int context, int heads, int kvHeads, int? window, int dim, int blockTokens, KvFormat format)
    {
        var kernels = _gpu.Kernels(dim, format);
        var random = new Random(context);
        var it = new AttentionCase(_gpu, random, context, heads, kvHeads, window, dim, blockTokens, format);
        var rows = Math.Min(context, 24);

        var chunk = it.Prefill(kernels, rows);

        Assert.Null(it.Problem(chunk, rows));
        var decoded = Math.Min(rows, 5);
        Assert.True(Near.SameBits(it.Decode(kernels, decoded), chunk.AsSpan(^(decoded * heads * dim)..)));
        // As a chunk of another length: other rows share the tile.
        Assert.True(Near.SameBits(it.Prefill(kernels, decoded), chunk.AsSpan(^(decoded * heads * dim)..)));
        _gpu.Emulator.Set(order: 3);
        Assert.True(Near.SameBits(it.Prefill(kernels, rows), chunk));
    }

    /// <summary>Nothing is lost but what rounding the cache lost: the kernels expand it to elements and go on as ever.
    /// </summary>
    [EmulatedTheory]
    [InlineData(65, 7, 1, 33, 48)]
    [InlineData(530, 2, 2, null, 16)]
    public void A_cache_in_INT8_is_attended_to_as_what_it_stands_for_bit_by_bit(
        int context, int heads, int kvHeads, int? window, int blockTokens)
    {
        var it = new AttentionCase(
            _gpu, new Random(context), context, heads, kvHeads, window, Dim, blockTokens, KvFormat.Int8);
        var (kernels, rows) = (_gpu.Kernels(new KernelOptions(Dim, KvFormat.BF16, Int8Kv: true)), 24);

        var expected = it.Expanded().Prefill(_gpu.Kernels(Dim), rows);

        Assert.Null(it.Expanded().Problem(expected, rows));
        Assert.True(Near.SameBits(it.Prefill(kernels, rows), expected));
        Assert.True(Near.SameBits(it.Decode(kernels, 3), expected.AsSpan(^(3 * heads * Dim)..)));
    }

    [EmulatedFact]
    public void A_whole_prompt_is_right_row_by_row()
    {
        var it = new AttentionCase(_gpu, new Random(1), 150, 4, 2, null, 64, 16, KvFormat.BF16);

        Assert.Null(it.Problem(it.Prefill(_gpu.Kernels(), 150), 150));
    }
}
