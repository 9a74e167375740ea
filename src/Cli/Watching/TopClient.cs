using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization;
using Krewe.Abstractions;

namespace Krewe.Cli.Watching;

/// <summary>What <c>krewe top</c> reads of a silo's state; unknown members are ignored.</summary>
internal sealed record TopState
{
    public required string SiloId { get; init; }

    public required string Version { get; init; }

    public required string Model { get; init; }

    public required string GrainHost { get; init; }

    public required double UptimeSeconds { get; init; }

    public required bool Draining { get; init; }

    public double? TtftSloMs { get; init; }

    public double? TpotSloMs { get; init; }

    public required int Inside { get; init; }

    public required int Queued { get; init; }

    public required IReadOnlyList<TopWorker> Workers { get; init; }
}

/// <param name="Wish">serve, cordon or drain.</param>
internal sealed record TopWorker(string Wish, TopWorkerState Worker);

internal sealed record TopWorkerState
{
    public required string Id { get; init; }

    public required string Role { get; init; }

    public required string State { get; init; }

    public TopLoad? Load { get; init; }
}

internal sealed record TopLoad
{
    public required uint TotalBlocks { get; init; }

    public required uint EvictableBlocks { get; init; }

    public required uint PinnedBlocks { get; init; }

    public required uint RunningSequences { get; init; }

    public required uint WaitingSequences { get; init; }

    public required ulong PrefillTokens { get; init; }

    public required ulong DecodeTokens { get; init; }

    public required float StepMs { get; init; }

    public required ulong MigratedIn { get; init; }

    public required ulong MigratedOut { get; init; }

    public TopTiers? Tiers { get; init; }
}

internal sealed record TopTiers
{
    public required uint HostBlocks { get; init; }

    public required uint HostCapacity { get; init; }

    public required uint DiskBlocks { get; init; }

    public required uint DiskCapacity { get; init; }
}

/// <summary>Snapshots column by column.</summary>
internal sealed record TopHistory(long[] Time, Dictionary<string, double?[]> Series);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(TopState))]
[JsonSerializable(typeof(TopHistory))]
internal sealed partial class TopJson : JsonSerializerContext;

/// <summary>Asks a silo what its dashboard shows.</summary>
internal sealed class TopClient(HttpClient http, Uri silo, string? key)
{
    public async Task<TopState> StateAsync(CancellationToken cancellationToken) => JsonSerializer.Deserialize(
        await GetAsync("dashboard/api/state", cancellationToken), TopJson.Default.TopState)!;

    /// <summary>Snapshots behind a moment in milliseconds since 1970.</summary>
    public async Task<TopHistory> HistoryAsync(long after, CancellationToken cancellationToken) =>
        JsonSerializer.Deserialize(
            await GetAsync($"dashboard/api/history?after={after}", cancellationToken), TopJson.Default.TopHistory)!;

    private async Task<string> GetAsync(string path, CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(HttpMethod.Get, new Uri(silo, $"/{path}"));
        if (key is not null) message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        try
        {
            using var answer = await http.SendAsync(message, cancellationToken);
            var text = await answer.Content.ReadAsStringAsync(cancellationToken);
            if (answer.IsSuccessStatusCode) return text;
            throw new KreweException(
                ErrorCode.InvalidRequest,
                $"{silo} answered {(int)answer.StatusCode}: {text} Name a key with the operator role by --key or "
                + "KREWE_API_KEY if it asks for one.");
        }
        catch (HttpRequestException e)
        {
            throw new KreweException(
                ErrorCode.Internal, $"No silo answers at {silo} ({e.Message}). Name one with --url.",
                innerException: e);
        }
    }
}
