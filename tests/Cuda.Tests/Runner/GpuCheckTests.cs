using Krewe.Abstractions;
using Krewe.Workers.Benching.Gpu;
using Krewe.Workers.Tests.Runner;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>The check that users run on their GPU, on the emulated one: its own code works, its bounds hold.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class GpuCheckTests
{
    [LongEmulatedFact]
    public void Kernels_and_exactness_are_found_right_and_everything_is_measured()
    {
        using var model = TinyModel.Open();

        var rows = GpuCheck.Run(
            new GpuCheckPlan
            {
                Bundled = model,
                Measured = [model],
                Shapes = [RandomModel.Small],
                Options = EmulatedRunner.Options with { Attention = CudaAttention.Auto },
                Sizes = GpuSizes.Small,
                KvMemoryBytes = 4 << 20,
            },
            TimeProvider.System).ToArray();

        string[] right =
        [
            "rms_norm", "linear", "wgmma", "attention, ", "sample", "block_copy", "tiny, products",
            "tiny, INT8 KV: bits",
        ];
        foreach (var name in right)
        {
            var found = rows.Where(row => row.Name.StartsWith(name, StringComparison.Ordinal)).ToArray();
            Assert.NotEmpty(found);
            Assert.All(found, row => Assert.True(row.Verdict, $"{row.Name}: {row.Found}"));
        }

        Assert.Contains(rows, row => row.Found.Contains("by wgmma", StringComparison.Ordinal));
        Assert.Contains(rows, row => row.Found.Contains("by mma.sync", StringComparison.Ordinal));
        string[] measured =
        [
            "copy", "block gather", "block scatter", "decode attention, 100 tokens, INT8", "prefill attention",
            "product of", "spill to pinned", "restore from pinned", "spill, by way", "handoff from another", "tiny: ",
            "random-small: decode step of 1", "random-small: decode step of 1, one ahead", "tiny, INT8 KV: loss",
        ];
        foreach (var name in measured)
            Assert.Contains(rows, row => row.Name.StartsWith(name, StringComparison.Ordinal));
    }
}
