using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;

namespace Krewe.Cuda.Tests.Kernels;

/// <summary>Copies of many pieces at once, and the lossy INT8 form of KV.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class CopyTests : IDisposable
{
    private readonly Gpu _gpu = new();
    private readonly Random _random = new(8);

    public void Dispose() => _gpu.Dispose();

    [EmulatedFact]
    public void Blocks_are_gathered_and_scattered_and_nothing_else_is_touched()
    {
        const int Block = 16 * 1100;
        var arena = new byte[9 * Block];
        _random.NextBytes(arena);
        int[] blocks = [7, 0, 3, 5];
        var source = _gpu.Upload(arena);
        var packed = _gpu.Poisoned<byte>(blocks.Length * Block);
        var target = _gpu.Poisoned<byte>(arena.Length);
        CopyPiece[] gather = [.. blocks.Select((block, i) => new CopyPiece(block * Block, i * Block, Block))];
        CopyPiece[] scatter = [.. blocks.Select((block, i) => new CopyPiece(i * Block, block * Block, Block - 16))];

        _gpu.Kernels().BlockCopy(_gpu.Stream, _gpu.Upload(gather), gather.Length, Block, source, packed);
        _gpu.Kernels().BlockCopy(_gpu.Stream, _gpu.Upload(scatter), scatter.Length, Block, packed, target);

        var gathered = _gpu.Download<byte>(packed, blocks.Length * Block);
        var scattered = _gpu.Download<byte>(target, arena.Length);
        var expected = new byte[arena.Length];
        expected.AsSpan().Fill(0xff);
        for (var i = 0; i < blocks.Length; i++)
        {
            Assert.True(arena.AsSpan(blocks[i] * Block, Block).SequenceEqual(gathered.AsSpan(i * Block, Block)));
            arena.AsSpan(blocks[i] * Block, Block - 16).CopyTo(expected.AsSpan(blocks[i] * Block));
        }

        Assert.True(expected.AsSpan().SequenceEqual(scattered));
    }

    [EmulatedTheory]
    [InlineData(KvFormat.BF16, 64)]
    [InlineData(KvFormat.F16, 32)]
    public void Kv_in_int8_is_rounded_as_weights_are(KvFormat format, int dim)
    {
        var geometry = new KvGeometry(2, 2, dim, 16, format);
        var elements = geometry.BlockBytes / 2;
        var values = Elements.Random(_random, 3 * elements, format, 5);
        // A vector of zeros has no scale.
        for (var i = 0; i < dim; i++) values[elements + (geometry.PlaneBytes / 2) + i] = 0;
        var arena = _gpu.Upload(Elements.ToBits(values, format));
        var blocks = _gpu.Upload(2, 1);
        var packed = _gpu.Poisoned<byte>(2 * CudaKernels.Int8BlockBytes(geometry));
        var back = _gpu.Poisoned<ushort>(3 * elements);

        _gpu.Kernels(dim, format).KvQuantise(_gpu.Stream, arena, geometry, blocks, 2, packed);
        _gpu.Kernels(dim, format).KvDequantise(_gpu.Stream, back, geometry, blocks, 2, packed);

        var actual = _gpu.Download<ushort>(back, 3 * elements);
        Assert.All(actual[..elements], bits => Assert.Equal(0xffff, bits));
        for (var block = 1; block < 3; block++)
        {
            for (var vector = 0; vector < 2 * geometry.Layers * geometry.KvHeads * 16; vector++)
            {
                var places = Places(geometry, vector).Select(place => (block * elements) + place).ToArray();
                var row = places.Select(place => values[place]).ToArray();
                Int8Row.Apply(row);
                for (var i = 0; i < dim; i++) Assert.Equal(Elements.ToBits(row[i], format), actual[places[i]]);
            }
        }
    }

    /// <summary>Elements of one token's vector in a block: K is [head][dim][slot], V [head][slot][dim].</summary>
    private static IEnumerable<int> Places(KvGeometry geometry, int vector)
    {
        var slot = vector % geometry.BlockTokens;
        var head = vector / geometry.BlockTokens % geometry.KvHeads;
        var plane = vector / geometry.BlockTokens / geometry.KvHeads;
        var start = ((plane * geometry.KvHeads) + head) * geometry.HeadDim * geometry.BlockTokens;
        for (var dim = 0; dim < geometry.HeadDim; dim++)
        {
            yield return plane % 2 == 1
                ? start + (slot * geometry.HeadDim) + dim
                : start + (dim * geometry.BlockTokens) + slot;
        }
    }
}
