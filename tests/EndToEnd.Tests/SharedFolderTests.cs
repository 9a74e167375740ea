using System.Diagnostics;
using Krewe.Cuda.Tests;
using Krewe.EndToEnd.Tests.Harness;

namespace Krewe.EndToEnd.Tests;

/// <summary>
/// Workers in process namespaces of their own, as in two containers of a host: KV goes from memory to memory where they
/// share a folder, and over the link where they do not.
/// </summary>
public sealed class SharedFolderTests : IDisposable
{
    private static readonly TokenRequest Request = new(new Prompts(29).OfLength(90), 12, 0, 7, IgnoreEos: true);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-share-");

    public void Dispose() => _folder.Delete(recursive: true);

    [NamespacesFact]
    public async Task Containers_that_share_a_folder_hand_over_from_memory_to_memory()
    {
        // With "shared" a handoff by the link would be an error.
        var (tokens, logs) = await AnswerAsync("--kv-transport", "shared", "--kv-share-folder", _folder.FullName);

        Assert.Equal((await Offline.TokensAsync(Request))[0], tokens);
        Assert.DoesNotContain("come over the data link", logs);
    }

    /// <summary>The control: without the folder it is not to be had.</summary>
    [NamespacesFact(isLong: true)]
    public async Task Containers_that_share_none_say_so_and_use_the_link()
    {
        var (tokens, logs) = await AnswerAsync("--kv-transport", "auto");

        Assert.Equal((await Offline.TokensAsync(Request))[0], tokens);
        Assert.Contains("Blocks of prefill-0 come over the data link, not out of its memory", logs);
        Assert.Contains("handed out nowhere", logs);
    }

    [LongEmulatedFact]
    public async Task Containers_that_share_a_folder_hand_over_from_GPU_to_GPU()
    {
        if (NamespacesFactAttribute.Refusal is not null) return;
        string[] gpu =
        [
            "--device", "cuda", "--cuda-libraries", EmulatedLibraries.Directory, "--cuda-cache",
            EmulatedLibraries.CacheDirectory, "--kv-memory", "4MiB",
        ];
        var (shared, logs) = await AnswerAsync(
            [.. gpu, "--kv-transport", "shared", "--kv-share-folder", _folder.FullName]);
        var (byLink, others) = await AnswerAsync([.. gpu, "--kv-transport", "tcp"]);

        Assert.Equal(byLink, shared);
        Assert.NotEmpty(others);
        Assert.DoesNotContain("come over the data link", logs);
    }

    private static async Task<(int[] Tokens, string Logs)> AnswerAsync(params string[] arguments)
    {
        var (port, linkPort) = (Ports.Free(), Ports.Free());
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = Patience.Hang };
        await using var silo = KreweProcess.Start("silo", "--port", $"{port}", "--link-port", $"{linkPort}");
        await using var prefill = StartWorker("prefill", linkPort, arguments);
        await using var decode = StartWorker("decode", linkPort, arguments);
        await WhenReadyAsync(http, Logs);
        var tokens = await Request.AskAsync(http, Logs);
        return (tokens, Logs());

        string Logs() => $"{silo.Log}\n{prefill.Log}\n{decode.Log}";
    }

    private static KreweProcess StartWorker(string role, int linkPort, string[] arguments) => KreweProcess.StartProgram(
        "unshare",
        [
            .. NamespacesFactAttribute.Arguments, "dotnet", Path.Combine(AppContext.BaseDirectory, "krewe.dll"),
            "worker", "--silo", $"127.0.0.1:{linkPort}", "--role", role, "--id", $"{role}-0", "--verbose",
            .. arguments,
        ]);

    private static async Task WhenReadyAsync(HttpClient http, Func<string> logs)
    {
        for (var clock = Stopwatch.StartNew(); ; await Task.Delay(TimeSpan.FromMilliseconds(100)))
        {
            try
            {
                using var ready = await http.GetAsync("/health/ready");
                if (ready.IsSuccessStatusCode) return;
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }

            Assert.True(clock.Elapsed < Patience.Hang, $"The silo did not become ready.\n{logs()}");
        }
    }

    /// <summary>Skipped, with the reason, where this user may make no namespaces.</summary>
    private sealed class NamespacesFactAttribute : FactAttribute
    {
        public NamespacesFactAttribute(bool isLong = false) => Skip = isLong
            && Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") != "1"
                ? "./krewe test --long runs it"
                : Refusal;

        public static string[] Arguments { get; } =
            ["--user", "--map-current-user", "--pid", "--fork", "--kill-child"];

        public static string? Refusal { get; } = Try();

        private static string? Try()
        {
            try
            {
                using var process = Process.Start(new ProcessStartInfo("unshare", [.. Arguments, "true"])
                {
                    RedirectStandardError = true,
                })!;
                var said = process.StandardError.ReadToEnd();
                process.WaitForExit();
                return process.ExitCode == 0 ? null : $"no process namespaces here: {said.Trim()}";
            }
            catch (System.ComponentModel.Win32Exception missing)
            {
                return $"no process namespaces here: {missing.Message}";
            }
        }
    }
}
