using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>
/// kill -9 of the silo itself: the next one on the same data folder makes the lost stream again, the same to the byte,
/// and gives the client what it does not have.
/// </summary>
public sealed class SiloLossTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_stream_survives_its_silo()
    {
        var folder = Directory.CreateTempSubdirectory("krewe-silo-");
        var (port, linkPort) = (Ports.Free(), Ports.Free());
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = Patience.Hang };
        var silo = StartSilo(folder.FullName, port, linkPort);
        await using var prefill = StartWorker("prefill", linkPort);
        await using var decode = StartWorker("decode", linkPort);
        try
        {
            await WhenReadyAsync(http);
            var before = new StringBuilder();
            string id;
            using (var response = await OpenAsync(http))
            {
                id = response.Headers.GetValues("x-request-id").Single();
                using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
                for (var lines = 0; lines < 3 * 20; lines++) before.Append(await reader.ReadLineAsync()).Append('\n');
                Signals.Kill(silo.Id);
                await silo.WaitForExitAsync();
            }

            await silo.DisposeAsync();
            silo = StartSilo(folder.FullName, port, linkPort);
            await WhenReadyAsync(http);
            var rest = await ResumeAsync(http, id, after: 20);
            var whole = await ResumeAsync(http, id, after: 0);

            Assert.Equal(whole, before + rest);
            Assert.EndsWith("data: [DONE]\n\n", whole, StringComparison.Ordinal);
            using var again = await OpenAsync(http);
            Assert.Equal(whole, await again.Content.ReadAsStringAsync());
        }
        catch
        {
            output.WriteLine(silo.Log);
            output.WriteLine(prefill.Log);
            throw;
        }
        finally
        {
            await silo.DisposeAsync();
            folder.Delete(recursive: true);
        }
    }

    private static KreweProcess StartSilo(string folder, int port, int linkPort) => KreweProcess.Start(
        "silo", "--port", $"{port}", "--link-port", $"{linkPort}", "--data", folder, "--heartbeat", "0.1",
        "--silence-limit", "1", "--handoff-lease", "3");

    private static KreweProcess StartWorker(string role, int linkPort) => KreweProcess.Start(
        "worker", "--silo", $"127.0.0.1:{linkPort}", "--role", role, "--id", $"{role}-0");

    private static async Task<HttpResponseMessage> OpenAsync(HttpClient http)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/completions");
        message.Headers.Add("Idempotency-Key", "survivor");
        // No seed: the one that was drawn must survive too.
        message.Content = JsonContent.Create(new JsonObject
        {
            ["prompt"] = new JsonArray([.. new Prompts(11).OfLength(40).Select(token => (JsonNode)token)]),
            ["max_tokens"] = 600,
            ["temperature"] = 1,
            ["ignore_eos"] = true,
            ["return_token_ids"] = true,
            ["stream"] = true,
        });
        var response = await http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return response;
    }

    private static async Task<string> ResumeAsync(HttpClient http, string id, int after)
    {
        using var message = new HttpRequestMessage(HttpMethod.Get, $"/v1/requests/{id}/stream");
        if (after > 0) message.Headers.Add("Last-Event-ID", after.ToString(CultureInfo.InvariantCulture));
        using var response = await http.SendAsync(message);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return text;
    }

    private static async Task WhenReadyAsync(HttpClient http)
    {
        var clock = Stopwatch.StartNew();
        while (true)
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

            Assert.True(clock.Elapsed < Patience.Hang, "The silo did not become ready.");
            await Task.Delay(TimeSpan.FromMilliseconds(100));
        }
    }
}
