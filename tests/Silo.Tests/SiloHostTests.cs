using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Silo.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Krewe.Silo.Tests;

public sealed partial class SiloHostTests
{
    [Fact]
    public async Task All_wrong_options_are_told_at_once_with_exit_code_2()
    {
        var options = SiloHarness.DefaultOptions() with
        {
            SiloId = "",
            HttpPort = 70000,
            BindHost = "localhost",
            ModelDirectory = "/no/such/folder",
        };

        var (code, _, errors) = await RunAsync(options);

        Assert.Equal(2, code);
        Assert.Equal(4, errors.Trim().Split('\n').Length);
        Assert.Contains("70000", errors, StringComparison.Ordinal);
        Assert.Contains("/no/such/folder", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_of_another_machine_is_told_as_such()
    {
        // Kept for documentation (RFC 5737): no machine has it.
        var (code, _, errors) = await RunAsync(SiloHarness.DefaultOptions() with { BindHost = "192.0.2.1" });

        Assert.Equal(4, code);
        Assert.Contains("This machine has no address 192.0.2.1", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_without_a_model_is_exit_code_3()
    {
        var folder = Directory.CreateTempSubdirectory("krewe-silo-");
        try
        {
            var (code, _, errors) = await RunAsync(
                SiloHarness.DefaultOptions() with { ModelDirectory = folder.FullName });

            Assert.Equal(3, code);
            Assert.Contains("config.json", errors, StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_port_in_use_is_named_with_exit_code_4(bool http)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        var options = SiloHarness.DefaultOptions();

        var (code, _, errors) = await RunAsync(
            http ? options with { HttpPort = port } : options with { LinkPort = port });

        Assert.Equal(4, code);
        Assert.Contains($":{port}", errors, StringComparison.Ordinal);
        Assert.Contains(http ? "HTTP port" : "link port", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_silo_prints_its_settings_and_stops_when_it_is_told_to()
    {
        using var stop = new CancellationTokenSource();
        using var output = new FirstLine();
        var running = SiloHost.RunAsync(SiloHarness.DefaultOptions(), output, TextWriter.Null, stop: stop.Token);
        Assert.Contains("model tiny", await output.Said, StringComparison.Ordinal);

        await stop.CancelAsync();

        Assert.Equal(0, await running.InTime());
    }

    [Fact]
    public async Task A_draining_silo_refuses_new_requests_and_finishes_what_runs()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var hold = harness.Decode.Hold = new Hold(3);
        const string Ask = """{"prompt":[5],"max_tokens":50,"stream":true}""";
        using var events = new EventStream(await harness.PostStreamAsync("/v1/completions", Ask));
        await hold.Reached;
        using var stop = new CancellationTokenSource();
        var stopped = harness.Silo.WaitForStopAsync(stop.Token);

        await stop.CancelAsync();
        await Eventually.UntilAsync(() => harness.Door.IsDraining, "it drains");
        using var refused = await harness.PostAsync("/v1/completions", Ask);
        using var ready = await harness.Client.GetAsync("/health/ready");
        Assert.False(stopped.IsCompleted);
        hold.Release();

        Assert.Equal(SiloHarness.Answer, EventStream.TextOf(await events.ToEndAsync()));
        await stopped.InTime();
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Equal("draining", (await Json.OfAsync(refused)).Text("error.code"));
        Assert.NotNull(refused.Headers.RetryAfter);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
    }

    [Fact]
    public async Task What_still_runs_after_the_grace_ends_in_a_clean_error()
    {
        await using var harness = await SiloHarness.StartPairAsync(
            options => options with { DrainGrace = TimeSpan.FromMilliseconds(50) });
        // The server cuts off what is not answered by then.
        harness.Silo.Services.GetRequiredService<IOptions<HostOptions>>().Value.ShutdownTimeout = Eventually.Limit;
        var hold = harness.Prefill.Hold = new Hold(0);
        var answering = harness.PostAsync("/v1/completions", """{"prompt":[5],"max_tokens":50}""");
        await hold.Reached;
        using var stop = new CancellationTokenSource();
        await stop.CancelAsync();

        await harness.Silo.WaitForStopAsync(stop.Token).InTime();
        await harness.Silo.DisposeAsync().AsTask().InTime();

        using var response = await answering;
        Assert.Equal("draining", (await Json.OfAsync(response)).Text("error.code"));
    }

    private static async Task<(int Code, string Output, string Errors)> RunAsync(SiloOptions options)
    {
        using var output = new StringWriter();
        using var errors = new StringWriter();
        var code = await SiloHost.RunAsync(options, output, errors).InTime();
        return (code, output.ToString(), errors.ToString());
    }

    /// <summary>Waits for the first line; a <see cref="StringWriter"/> must not be read while it is written.</summary>
    private sealed class FirstLine : StringWriter
    {
        private readonly TaskCompletionSource<string?> _said = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<string?> Said => _said.Task.InTime();

        public override Task WriteLineAsync(string? value)
        {
            _said.TrySetResult(value);
            return Task.CompletedTask;
        }
    }
}
