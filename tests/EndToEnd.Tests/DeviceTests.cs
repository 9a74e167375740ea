using Krewe.EndToEnd.Tests.Harness;

namespace Krewe.EndToEnd.Tests;

/// <summary>What the real command says and does about GPUs on a machine that has none.</summary>
public sealed class DeviceTests
{
    private const int NoDevice = 5;

    [NoGpuFact]
    public async Task A_worker_that_is_told_to_use_a_GPU_says_what_is_missing_and_ends_with_its_own_code()
    {
        var (code, _, log) = await KreweProcess.RunAsync(
            "worker", "--silo", "127.0.0.1:1", "--device", "cuda");

        Assert.Equal(NoDevice, code);
        Assert.Contains("libcuda", log);
        Assert.Contains("NVIDIA driver", log);
        Assert.DoesNotContain("   at ", log);
    }

    [NoGpuFact]
    public async Task Auto_computes_on_the_CPU_and_says_so_once()
    {
        string[] arguments = ["generate", "--prompt", "Count from 7 to 12.", "--seed", "7", "--max-tokens", "12"];
        var (cpuCode, expected, _) = await KreweProcess.RunAsync([.. arguments, "--device", "cpu"]);
        var (code, output, log) = await KreweProcess.RunAsync([.. arguments, "--device", "auto"]);

        Assert.Equal((0, 0), (cpuCode, code));
        Assert.Equal(expected, output);
        Assert.NotEmpty(output.Trim());
        Assert.Equal(2, log.Split("--device auto: the CPU computes").Length);
        Assert.Contains("libcuda", log);
    }

    [NoGpuFact]
    public async Task Doctor_names_the_library_that_is_missing()
    {
        var (code, output, log) = await KreweProcess.RunAsync("doctor");

        Assert.Equal(0, code);
        Assert.Contains("libcuda.so.1", output + log);
    }
}

/// <summary>Only true where there is no NVIDIA driver.</summary>
internal sealed class NoGpuFactAttribute : FactAttribute
{
    public NoGpuFactAttribute()
    {
        if (System.Runtime.InteropServices.NativeLibrary.TryLoad("libcuda.so.1", out var driver))
        {
            System.Runtime.InteropServices.NativeLibrary.Free(driver);
            Skip = "this machine has an NVIDIA driver";
        }
    }
}
