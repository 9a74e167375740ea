using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Krewe.EndToEnd.Tests.Harness;

namespace Krewe.EndToEnd.Tests.Dashboard;

/// <summary>Clients that ask again and again until disposed of, so that there is something to see.</summary>
internal sealed class DashboardLoad : IAsyncDisposable
{
    private const int Clients = 2;

    private readonly CancellationTokenSource _stopping = new();
    private readonly Task[] _clients;

    public DashboardLoad(KreweCluster cluster) =>
        _clients = [.. Enumerable.Range(0, Clients).Select(i => Task.Run(() => AskAsync(cluster, i)))];

    /// <summary>A long streamed answer; its id at once, its last event with the task.</summary>
    public static async Task<(string Id, Task<string> Answer)> BeginLongAsync(KreweCluster cluster, int seed)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/completions");
        message.Content = JsonContent.Create(new JsonObject
        {
            ["model"] = "tiny",
            ["prompt"] = "Count from 7 to 12.",
            ["max_tokens"] = 1900,
            ["ignore_eos"] = true,
            ["temperature"] = 1,
            ["seed"] = seed,
            ["stream"] = true,
        });
        var answer = await cluster.Http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        Assert.True(answer.IsSuccessStatusCode, cluster.LogTail());
        return (answer.Headers.GetValues("x-request-id").Single(), answer.Content.ReadAsStringAsync());
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_clients);
        _stopping.Dispose();
    }

    private async Task AskAsync(KreweCluster cluster, int client)
    {
        for (var i = 0; !_stopping.IsCancellationRequested; i++)
        {
            try
            {
                using var answer = await cluster.Http.PostAsJsonAsync(
                    "/v1/completions", new JsonObject
                    {
                        ["model"] = "tiny",
                        ["prompt"] = $"Client {client} counts from {i % 7} to {i}, and says hello to everybody.",
                        ["max_tokens"] = 60 + (40 * client),
                        ["ignore_eos"] = true,
                        ["temperature"] = 1,
                    },
                    _stopping.Token);
                await Task.Delay(150 * (client + 1), _stopping.Token);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
        }
    }
}
