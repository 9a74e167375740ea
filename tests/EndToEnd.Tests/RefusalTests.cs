using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Krewe.EndToEnd.Tests.Harness;

namespace Krewe.EndToEnd.Tests;

/// <summary>What must not start does not, and says what to change.</summary>
public sealed class RefusalTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-refusal-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_port_in_use_is_named()
    {
        using var holder = new TcpListener(IPAddress.Loopback, 0);
        holder.Start();
        var port = ((IPEndPoint)holder.LocalEndpoint).Port;

        var (code, _, log) = await KreweProcess.RunAsync("serve", "--port", $"{port}");

        Assert.Equal(4, code);
        Assert.Contains($"{port}", log);
        Assert.DoesNotContain("   at ", log);
    }

    [Fact]
    public async Task Every_unknown_or_invalid_option_is_said_at_once()
    {
        var (code, _, log) = await KreweProcess.RunAsync("serve", "--port", "x", "--colour", "red", "--prefill", "-1");

        Assert.Equal(2, code);
        Assert.Contains("--port is 'x'", log);
        Assert.Contains("--colour", log);
        Assert.Contains("--prefill is '-1'", log);
    }

    [Fact]
    public async Task A_truncated_weight_file_is_named()
    {
        var model = CopyModel();
        using (var weights = File.OpenWrite(Path.Combine(model, "model.safetensors"))) weights.SetLength(1_000_000);

        await AssertRefusedAsync(model, "model.safetensors");
    }

    [Fact]
    public async Task A_weight_file_whose_header_is_garbage_is_named()
    {
        var model = CopyModel();
        File.WriteAllText(Path.Combine(model, "model.safetensors"), new string('?', 5000));

        await AssertRefusedAsync(model, "model.safetensors");
    }

    [Fact]
    public async Task An_architecture_that_is_not_supported_is_named()
    {
        var model = CopyModel();
        Edit(model, "config.json", "LlamaForCausalLM", "MambaForCausalLM");

        await AssertRefusedAsync(model, "MambaForCausalLM");
    }

    [Fact]
    public async Task A_tokenizer_without_the_needed_tokens_is_named()
    {
        var model = CopyModel();
        Edit(model, "tokenizer.json", "\"id\": 1020", "\"id\": 99999");

        await AssertRefusedAsync(model, "tokenizer.json");
    }

    [Theory]
    [InlineData("geometry", "--block-tokens", "32")]
    [InlineData("model", "--served-model-name", "other")]
    public async Task A_worker_that_does_not_fit_is_refused_at_hello(string what, string option, string value)
    {
        var link = Ports.Free();
        await using var silo = await StartSiloAsync(link);

        var (code, _, log) = await KreweProcess.RunAsync("worker", "--silo", $"127.0.0.1:{link}", option, value);

        Assert.Equal(3, code);
        Assert.Contains(value, log);
        Assert.Contains(what, log, StringComparison.OrdinalIgnoreCase);
        Assert.False(silo.HasExited);
    }

    [Fact]
    public async Task A_worker_with_another_checkpoint_of_the_same_name_is_refused_at_hello()
    {
        var link = Ports.Free();
        await using var silo = await StartSiloAsync(link);
        var model = CopyModel();
        Edit(model, "config.json", "\"rope_theta\": 10000", "\"rope_theta\": 20000");

        var (code, _, log) = await KreweProcess.RunAsync("worker", "--silo", $"127.0.0.1:{link}", "--model", model);

        Assert.Equal(3, code);
        Assert.Contains("model", log, StringComparison.OrdinalIgnoreCase);
    }

    private static async Task AssertRefusedAsync(string model, string named)
    {
        var (code, _, log) = await KreweProcess.RunAsync("serve", "--port", "0", "--model", model);

        Assert.Equal(3, code);
        Assert.Contains(named, log);
        Assert.DoesNotContain("   at ", log);
    }

    private static async Task<KreweProcess> StartSiloAsync(int linkPort)
    {
        var silo = KreweProcess.Start("silo", "--port", "0", "--link-port", $"{linkPort}");
        await silo.WaitForLineAsync(
            line => line.Contains("gateway", StringComparison.Ordinal));
        return silo;
    }

    private string CopyModel()
    {
        var target = Directory.CreateDirectory(Path.Combine(_folder.FullName, "tiny"));
        foreach (var file in Directory.EnumerateFiles(Prompts.ModelFolder))
            File.Copy(file, Path.Combine(target.FullName, Path.GetFileName(file)));
        return target.FullName;
    }

    private static void Edit(string model, string file, string old, string replacement)
    {
        var path = Path.Combine(model, file);
        var text = File.ReadAllText(path);
        var pattern = Regex.Escape(old).Replace(@"\ ", @"\s*", StringComparison.Ordinal);
        Assert.Matches(pattern, text);
        File.WriteAllText(path, Regex.Replace(text, pattern, replacement));
    }
}
