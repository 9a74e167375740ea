using System.Net;
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
[JsonSerializable(typeof(RequestLife))]
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

    /// <summary>A request's life: the key's own tenant's, or anybody's for a key with the operator role.</summary>
    public async Task<RequestLife> RequestAsync(string id, CancellationToken cancellationToken)
    {
        var path = $"requests/{Uri.EscapeDataString(id)}";
        var own = await AskAsync($"v1/{path}", cancellationToken);
        if (own.Status is HttpStatusCode.Forbidden or HttpStatusCode.NotFound)
        {
            // Of another tenant: an operator's key finds it by ID~TENANT.
            var any = await AskAsync($"v1/cluster/{path}", cancellationToken);
            if (own.Status == HttpStatusCode.Forbidden || any.Status == HttpStatusCode.OK) own = any;
        }

        var text = Demand(own);
        return JsonSerializer.Deserialize(text, TopJson.Default.RequestLife)!;
    }

    private async Task<string> GetAsync(string path, CancellationToken cancellationToken) =>
        Demand(await AskAsync(path, cancellationToken));

    private string Demand((HttpStatusCode Status, string Text) answer) => answer.Status switch
    {
        HttpStatusCode.OK => answer.Text,
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => throw new KreweException(
            ErrorCode.InvalidRequest,
            $"{silo} answered {(int)answer.Status}: {MessageOf(answer.Text)} Name a key with the operator role by "
            + "--key or KREWE_API_KEY."),
        _ => throw new KreweException(
            ErrorCode.InvalidRequest, $"{silo} answered {(int)answer.Status}: {MessageOf(answer.Text)}"),
    };

    /// <summary>The error object's message, or the text itself when it is none.</summary>
    private static string MessageOf(string text)
    {
        try
        {
            using var error = JsonDocument.Parse(text);
            return error.RootElement.GetProperty("error").GetProperty("message").GetString()!;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return text;
        }
    }

    private async Task<(HttpStatusCode Status, string Text)> AskAsync(string path, CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(HttpMethod.Get, new Uri(silo, $"/{path}"));
        if (key is not null) message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        try
        {
            using var answer = await http.SendAsync(message, cancellationToken);
            return (answer.StatusCode, await answer.Content.ReadAsStringAsync(cancellationToken));
        }
        catch (HttpRequestException e)
        {
            throw new KreweException(
                ErrorCode.Internal, $"No silo answers at {silo} ({e.Message}). Name one with --url.",
                innerException: e);
        }
    }
}
