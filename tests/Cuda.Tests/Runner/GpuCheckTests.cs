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
            model, [model], EmulatedRunner.Options, GpuSizes.Small, 4 << 20, TimeProvider.System).ToArray();

        string[] right = ["rms_norm", "linear", "attention, ", "sample", "block_copy", "tiny, products"];
        foreach (var name in right)
        {
            var found = rows.Where(row => row.Name.StartsWith(name, StringComparison.Ordinal)).ToArray();
            Assert.NotEmpty(found);
            Assert.All(found, row => Assert.True(row.Verdict, $"{row.Name}: {row.Found}"));
        }

        string[] measured = ["copy", "block gather", "decode attention", "prefill attention", "product of", "tiny: "];
        foreach (var name in measured)
            Assert.Contains(rows, row => row.Name.StartsWith(name, StringComparison.Ordinal));
    }
}
