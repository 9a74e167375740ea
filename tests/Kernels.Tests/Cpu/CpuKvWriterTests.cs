using Krewe.Abstractions;
using Krewe.Kernels.Reference;

namespace Krewe.Kernels.Tests.Cpu;

public sealed unsafe class CpuKvWriterTests
{
    [Theory]
    [InlineData(KvFormat.F32)]
    [InlineData(KvFormat.F16)]
    [InlineData(KvFormat.BF16)]
    public void Slots_hold_what_the_reference_writes_and_no_other_byte_changes(KvFormat format)
    {
        var random = new Random(1);
        foreach (var headDim in new[] { 6, 16, 20, 64 })
        {
            foreach (var kernels in new[] { CpuKernels.V512, CpuKernels.V256, CpuKernels.V128 })
            {
                var geometry = new KvGeometry(Layers: 2, KvHeads: 3, headDim, BlockTokens: 32, format);
                using var expected = new NativeArray<byte>(geometry.BlockBytes);
                using var actual = new NativeArray<byte>(geometry.BlockBytes);
                using var keys = new NativeArray<float>(3 * headDim);
                using var values = new NativeArray<float>(3 * headDim);
                for (var slot = 0; slot < geometry.BlockTokens; slot += 5)
                {
                    RandomData.Floats(random, 3 * headDim).CopyTo(new Span<float>(keys.Data, 3 * headDim));
                    RandomData.Floats(random, 3 * headDim).CopyTo(new Span<float>(values.Data, 3 * headDim));
                    ReferenceKvWriter.Write(expected.Data, geometry, layer: 1, slot, keys.Data, values.Data);
                    kernels.StoreKv(actual.Data, geometry, layer: 1, slot, keys.Data, values.Data);
                }

                Assert.True(new ReadOnlySpan<byte>(expected.Data, geometry.BlockBytes).SequenceEqual(
                    new ReadOnlySpan<byte>(actual.Data, geometry.BlockBytes)));
            }
        }
    }
}
