using Krewe.Abstractions;
using Krewe.Kernels.Cuda;

namespace Krewe.Cuda.Tests.Driver;

/// <summary>Compiled kernels on disk.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class KernelCacheTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-kernel-cache-");

    private readonly KernelSource[] _sources =
        [new(KernelSources.Main, "#include \"krewe.cuh\"\n"), KernelSources.All.Single(s => s.Name == "krewe.cuh")];

    public void Dispose() => _folder.Delete(recursive: true);

    [EmulatedFact]
    public void Kernels_are_compiled_once_and_again_when_the_file_is_torn()
    {
        using var gpu = new Gpu();
        var (cache, compiler) = (new KernelCache(_folder.FullName), Nvrtc.Load(gpu.Libraries));
        var options = new KernelOptions(64, KvFormat.BF16);
        var first = cache.Get(compiler, _sources, "sm_90", options);
        Assert.Equal(first, cache.Get(compiler, _sources, "sm_90", options));
        Assert.Single(gpu.Emulator.Calls(), "nvrtcCompileProgram");

        var file = Assert.Single(_folder.GetFiles());
        using (var torn = file.OpenWrite()) torn.SetLength(file.Length - 7);
        cache.Get(compiler, _sources, "sm_90", options);
        Assert.Equal(2, gpu.Emulator.Calls().Count(call => call == "nvrtcCompileProgram"));
        Assert.Single(_folder.GetFiles());
    }

    [EmulatedFact]
    public void A_folder_that_cannot_be_written_only_costs_time()
    {
        using var gpu = new Gpu();
        var file = Path.Combine(_folder.FullName, "a file");
        File.WriteAllText(file, "");

        Assert.NotEmpty(new KernelCache(Path.Combine(file, "below")).Get(
            Nvrtc.Load(gpu.Libraries), _sources, "sm_90", new KernelOptions(64, KvFormat.BF16)));
    }
}
