using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;

namespace Krewe.Cuda.Tests.Kernels;

/// <summary>What is decided before any launch.</summary>
public sealed class PlanTests
{
    [Fact]
    public void Chunks_depend_on_the_matrix_and_cover_it()
    {
        foreach (var (outputs, inputs) in new[] { (4096, 4096), (4096, 14336), (28672, 4096), (64, 32), (256, 640) })
        {
            var chunk = LinearPlan.ChunkInputs(outputs, inputs, whole: false);
            Assert.Equal(0, chunk % LinearPlan.GroupInputs);
            Assert.InRange(new GpuMatrix(1, 0, outputs, inputs, chunk).Chunks, 1, 16);
            Assert.Equal(inputs, LinearPlan.ChunkInputs(outputs, inputs, whole: true));
        }
    }

    [Fact]
    public void What_the_device_cannot_do_is_left_to_the_CPU()
    {
        Assert.NotNull(SampleDraw.Of(new SamplerSettings { TopK = 5 }, 0));
        Assert.Null(SampleDraw.Of(new SamplerSettings { PresencePenalty = 1 }, 0));
        Assert.Null(SampleDraw.Of(new SamplerSettings { LogitBias = [new LogitBias(3, 1)] }, 0));
    }

    [Theory]
    [InlineData(20, KvFormat.BF16, "head dimensions")]
    [InlineData(272, KvFormat.BF16, "head dimensions")]
    [InlineData(64, KvFormat.F32, "F32")]
    public void What_the_kernels_cannot_do_is_said(int headDim, KvFormat format, string word) =>
        Assert.Contains(word, new KernelOptions(headDim, format).Refusal(), StringComparison.Ordinal);

    [Fact]
    public void Every_part_of_a_compilation_is_in_its_name()
    {
        KernelSource[] sources = [new("a.cu", "x"), new("b.cu", "y")];
        string[] names =
        [
            KernelCache.NameOf(sources, "sm_90", ["-a"], new Version(12, 4)),
            KernelCache.NameOf(sources, "sm_80", ["-a"], new Version(12, 4)),
            KernelCache.NameOf(sources, "sm_90", ["-a", "-b"], new Version(12, 4)),
            KernelCache.NameOf(sources, "sm_90", ["-a"], new Version(12, 5)),
            KernelCache.NameOf([sources[0], new("b.cu", "z")], "sm_90", ["-a"], new Version(12, 4)),
            KernelCache.NameOf([new("a.cub", "x"), new(".cu", "y")], "sm_90", ["-a"], new Version(12, 4)),
        ];

        Assert.Equal(names.Length, names.Distinct().Count());
        Assert.Equal(names[0], KernelCache.NameOf(sources, "sm_90", ["-a"], new Version(12, 4)));
    }
}
