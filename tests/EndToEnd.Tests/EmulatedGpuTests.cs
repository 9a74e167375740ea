using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Krewe.Cuda.Tests;
using Krewe.EndToEnd.Tests.Harness;

namespace Krewe.EndToEnd.Tests;

/// <summary>
/// Real workers with <c>--device cuda</c>, on NVIDIA's libraries as tests build them: prefill on one, handoff out of
/// device memory, decode on the other.
/// </summary>
public sealed class EmulatedGpuTests
{
    private const string Question =
        "The code of amber is 4821. The code of birch is 9137. What is the code of birch?";

    [LongEmulatedFact]
    public async Task A_served_answer_is_the_CPUs_and_blocks_went_from_GPU_to_GPU()
    {
        await using var gpu = await KreweCluster.StartAsync(
            "--device", "cuda", "--cuda-libraries", EmulatedLibraries.Directory, "--cuda-cache",
            EmulatedLibraries.CacheDirectory, "--kv-memory", "4MiB");
        await using var cpu = await KreweCluster.StartAsync("--kv-memory", "4MiB");

        var answer = await AskAsync(gpu);

        Assert.Equal(await AskAsync(cpu), answer);
        Assert.Contains("9137", answer);
    }

    [LongEmulatedFact]
    public async Task With_KV_in_INT8_blocks_go_from_GPU_to_GPU_too()
    {
        await using var gpu = await KreweCluster.StartAsync(
            "--device", "cuda", "--kv-format", "int8", "--cuda-libraries", EmulatedLibraries.Directory, "--cuda-cache",
            EmulatedLibraries.CacheDirectory, "--kv-memory", "4MiB");

        Assert.Contains("9137", await AskAsync(gpu));
    }

    [LongEmulatedFact]
    public async Task The_check_of_a_GPU_takes_blocks_out_of_a_second_process()
    {
        await using var process = KreweProcess.Start(
            "gpucheck", "--small", "--kv-memory", "4MiB", "--cuda-libraries", EmulatedLibraries.Directory,
            "--cuda-cache", EmulatedLibraries.CacheDirectory);

        var code = await process.WaitForExitAsync();

        Assert.True(code == 0, $"{process.Output}\n{process.Log}");
        // A row a line as they come; all of them as a table last.
        Assert.Contains("ok handoff from another process, CUDA IPC: ", process.Log);
        Assert.Contains("ok handoff from another process, file descriptor: ", process.Log);
        Assert.Contains("random-small: decode step of 1, one ahead", process.Output);
    }

    [EmulatedFact]
    public async Task A_fault_in_one_area_of_the_check_leaves_the_others_and_every_row_is_kept()
    {
        var json = Path.GetTempFileName();
        // The first area fills memory, the second does not.
        await using var process = StartCheck(
            "EMULATED_FAIL=cuMemsetD8Async,5,719", "--only", "kernels,copies", "--json", json);

        var code = await process.WaitForExitAsync();

        Assert.True(code == 1, process.Log);
        Assert.Matches("FAIL  kernels +its process ended with [0-9]+: .*cuMemsetD8Async", process.Output);
        Assert.Contains("emulated GPU, sm_90", process.Output);
        Assert.Contains("ok    handoff from another process", process.Output);
        var rows = await File.ReadAllLinesAsync(json);
        File.Delete(json);
        Assert.Contains(rows, row => JsonNode.Parse(row)!["Area"]!.GetValue<string>() == "kernels"
            && JsonNode.Parse(row)!["Verdict"] is { } verdict && !verdict.GetValue<bool>());
        Assert.Contains(rows, row => row.Contains("restore from pinned", StringComparison.Ordinal));
    }

    [EmulatedFact]
    public async Task A_check_without_time_says_what_it_did_not_measure_and_one_without_a_GPU_what_is_missing()
    {
        await using var cut = StartCheck("A=B", "--limit", "0.3");
        Assert.Equal(1, await cut.WaitForExitAsync());
        Assert.Matches("FAIL  kernels +not all measured: 0 seconds", cut.Output);
        Assert.Matches("FAIL  copies +not all measured", cut.Output);

        await using var none = StartCheck("EMULATED_FAIL=cuInit,0,100");
        Assert.Equal(5, await none.WaitForExitAsync());
        Assert.Contains("CUDA_ERROR_NO_DEVICE", none.Log);
    }

    private static KreweProcess StartCheck(string variable, params string[] more) => KreweProcess.StartProgram(
        "env",
        [
            variable, "dotnet", Path.Combine(AppContext.BaseDirectory, "krewe.dll"), "gpucheck", "--small",
            "--kv-memory", "4MiB", "--cuda-libraries", EmulatedLibraries.Directory, "--cuda-cache",
            EmulatedLibraries.CacheDirectory, .. more,
        ]);

    private static async Task<string> AskAsync(KreweCluster cluster)
    {
        var response = await cluster.Http.PostAsJsonAsync(
            new Uri(cluster.Address, "/v1/chat/completions"),
            new
            {
                model = "tiny",
                temperature = 0,
                max_tokens = 24,
                messages = new[] { new { role = "user", content = Question } },
            });
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!["choices"]![0]!["message"]!["content"]!.GetValue<string>();
    }
}
