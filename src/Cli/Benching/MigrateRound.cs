using System.Diagnostics;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Krewe.Cli;

/// <summary>How a request leaves its worker.</summary>
internal enum MigrateKind
{
    /// <summary>Full blocks travel while it decodes.</summary>
    Live,

    /// <summary>It stops first, then everything travels.</summary>
    Blocking,

    /// <summary>Its KV is given up and computed again.</summary>
    Recompute,
}

/// <summary>Medians over the repeats.</summary>
internal sealed record MigrateFigures
{
    public required string Kind { get; init; }

    public required int ContextTokens { get; init; }

    /// <summary>The longest gap between two tokens at the seam, less an ordinary one.</summary>
    public required double PauseMs { get; init; }

    /// <summary>An ordinary gap.</summary>
    public required double StepMs { get; init; }

    /// <summary>The pause of each repeat.</summary>
    public required IReadOnlyList<double> PausesMs { get; init; }

    /// <summary>Bytes of KV that travelled.</summary>
    public required double BytesMoved { get; init; }

    /// <summary>From the target's reservation to its commit.</summary>
    public required double CopyMs { get; init; }
}

/// <summary>Moves one request after the other and looks at its stream from the client's side.</summary>
internal sealed class MigrateRound(BenchCluster cluster, MigrateKind kind, int vocabulary)
{
    /// <summary>Tokens after the seam.</summary>
    public const int OutputTokens = 80;

    private const int TokensBefore = 40;
    private const int OrdinaryTokens = 1000;

    private int _requests;

    public async Task<MigrateFigures> MeasureAsync(int context, int repeats, CancellationToken cancellationToken)
    {
        await MoveAsync(context, cancellationToken); // warms code and sockets
        var moves = new List<Move>();
        for (var i = 0; i < repeats; i++) moves.Add(await MoveAsync(context, cancellationToken));
        return new MigrateFigures
        {
            Kind = kind.ToString().ToLowerInvariant(),
            ContextTokens = context,
            PauseMs = Median(moves.Select(move => move.PauseMs)),
            StepMs = Median(moves.Select(move => move.StepMs)),
            PausesMs = [.. moves.Select(move => Math.Round(move.PauseMs, 2))],
            BytesMoved = Median(moves.Select(move => move.Bytes)),
            CopyMs = Median(moves.Select(move => move.CopyMs)),
        };
    }

    private async Task<Move> MoveAsync(int context, CancellationToken cancellationToken)
    {
        var random = new Random(context + _requests);
        var body = new JsonObject
        {
            ["prompt"] = new JsonArray([.. Enumerable.Range(0, context - TokensBefore)
                .Select(_ => (JsonNode)random.Next(Math.Min(OrdinaryTokens, vocabulary)))]),
            ["max_tokens"] = OutputTokens + TokensBefore,
            ["temperature"] = 0,
            ["ignore_eos"] = true,
            ["stream"] = true,
        };
        var id = $"bench-{kind}-{context}-{_requests++}".ToLowerInvariant();
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = JsonContent.Create(body),
        };
        message.Headers.Add("X-Request-Id", id);
        using var answer = await cluster.Http.SendAsync(
            message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        answer.EnsureSuccessStatusCode();
        var stream = await answer.Content.ReadAsStreamAsync(cancellationToken);
        var (times, asked, moving) = (new List<long>(), 0, (Task?)null);
        await foreach (var item in SseParser.Create(stream).EnumerateAsync(cancellationToken))
        {
            if (item.Data == "[DONE]") break;
            times.Add(Stopwatch.GetTimestamp());
            if (times.Count != TokensBefore) continue;
            asked = times.Count;
            moving = AskAsync(id, cancellationToken);
        }

        await moving!;
        return await DescribeAsync(id, times, asked, cancellationToken);
    }

    private async Task AskAsync(string id, CancellationToken cancellationToken)
    {
        var record = await RecordAsync(id, cancellationToken);
        var source = record.GetProperty("plan").GetProperty("decode_worker").GetString()!.Split('#')[0];
        var target = source == "decode-0" ? "decode-1" : "decode-0";
        var (verb, worker) = kind == MigrateKind.Recompute ? ("recompute", source) : ("migrate", target);
        using var answer = await cluster.Http.PostAsJsonAsync(
            $"/v1/cluster/requests/{id}/{verb}", new JsonObject { ["target"] = worker }, cancellationToken);
        answer.EnsureSuccessStatusCode();
    }

    private async Task<Move> DescribeAsync(
        string id, List<long> times, int asked, CancellationToken cancellationToken)
    {
        var record = await RecordAsync(id, cancellationToken);
        var moved = kind == MigrateKind.Recompute
            ? record.GetProperty("epoch").GetInt32() - 1
            : record.GetProperty("migrations").GetInt32();
        if (moved != 1)
        {
            throw new InvalidOperationException(
                $"Request {id} moved {moved} times; its record: {record.GetRawText()}");
        }

        var gaps = times.Zip(times.Skip(1), (a, b) => Stopwatch.GetElapsedTime(a, b).TotalMilliseconds).ToArray();
        var step = Median(gaps.Skip(5).Take(asked - 6));
        var steps = record.GetProperty("steps").EnumerateArray()
            .Select(entry => (What: entry.GetProperty("what").GetString()!, At: entry.GetProperty("at_ms").GetDouble()))
            .ToArray();
        var begun = steps.LastOrDefault(entry => entry.What.StartsWith("migration started", StringComparison.Ordinal));
        var ended = steps.LastOrDefault(entry => entry.What.StartsWith("migrated from", StringComparison.Ordinal));
        var bytes = ended.What is { } words ? double.Parse(words.Split(", ")[1].Split(' ')[0], null) : 0;
        return new Move(gaps.Skip(asked - 1).Max() - step, step, bytes, ended.At - begun.At);
    }

    private async Task<JsonElement> RecordAsync(string id, CancellationToken cancellationToken)
    {
        using var record = JsonDocument.Parse(
            await cluster.Http.GetStringAsync($"/v1/requests/{id}", cancellationToken));
        return record.RootElement.Clone();
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length == 0 ? 0 : sorted[sorted.Length / 2];
    }

    private sealed record Move(double PauseMs, double StepMs, double Bytes, double CopyMs);
}
