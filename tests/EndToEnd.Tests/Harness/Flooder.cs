using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>
/// Moves every running request as often as the cluster lets it, from worker to worker, through the API that an operator
/// would use.
/// </summary>
public sealed class Flooder : IAsyncDisposable
{
    private readonly KreweCluster _cluster;
    private readonly string[] _workers;
    private readonly ConcurrentDictionary<(string Id, int Choice), int> _requests = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _flooding;
    private long _started;

    public Flooder(KreweCluster cluster, params string[] workers)
    {
        (_cluster, _workers) = (cluster, workers);
        _flooding = Task.Run(FloodAsync);
    }

    /// <summary>Migrations that began; how many committed is told by the requests' records.</summary>
    public long Started => Interlocked.Read(ref _started);

    /// <summary>From now on this request is moved, each of its choices by itself.</summary>
    public void Add(string requestId, int choices = 1)
    {
        for (var choice = 0; choice < choices; choice++) _requests.TryAdd((requestId, choice), 0);
    }

    /// <summary>Not any more; how often it moved.</summary>
    public async Task<int> RemoveAsync(string requestId)
    {
        foreach (var request in _requests.Keys.Where(key => key.Id == requestId)) _requests.TryRemove(request, out _);
        return await MigrationsAsync(_cluster, requestId);
    }

    public static async Task<int> MigrationsAsync(KreweCluster cluster, string requestId)
    {
        using var record = JsonDocument.Parse(await cluster.Http.GetStringAsync($"/v1/requests/{requestId}"));
        return record.RootElement.GetProperty("migrations").GetInt32();
    }

    /// <summary>Asks once; null when the migration has begun, else why not.</summary>
    public static async Task<string?> TryMoveAsync(
        KreweCluster cluster, string requestId, string target, int choice = 0)
    {
        using var answer = await cluster.Http.PostAsJsonAsync(
            $"/v1/cluster/requests/{requestId}/migrate", new JsonObject { ["target"] = target, ["choice"] = choice });
        var text = await answer.Content.ReadAsStringAsync();
        using var json = JsonDocument.Parse(text);
        // One that was killed before and is not back yet.
        if (text.Contains("name one of the workers", StringComparison.Ordinal)) return text;
        if (!answer.IsSuccessStatusCode) throw new InvalidOperationException($"{(int)answer.StatusCode} {text}");
        return json.RootElement.GetProperty("started").GetBoolean()
            ? null
            : json.RootElement.GetProperty("reason").GetString();
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _flooding;
        _stopping.Dispose();
    }

    private async Task FloodAsync()
    {
        var turn = 0;
        while (!_stopping.IsCancellationRequested)
        {
            foreach (var (request, choice) in _requests.Keys)
            {
                // It runs on one of them, which one changes all the time: the others take turns.
                var first = turn % _workers.Length;
                foreach (var worker in _workers.Skip(first).Concat(_workers.Take(first)))
                {
                    if (await TryMoveAsync(_cluster, request, worker, choice) is not null) continue;
                    Interlocked.Increment(ref _started);
                    break;
                }
            }

            turn++;
            await Task.Delay(1);
        }
    }
}
