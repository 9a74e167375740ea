using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Control.Cluster;
using Microsoft.Extensions.Logging;

namespace Krewe.Silo.Cluster;

/// <summary>
/// Carries out what <see cref="PoolScaler"/> advises: patches the "scale" of the workers' StatefulSets by plain HTTP.
/// Invariant: one silo of a cluster does it, and replicas stay within their bounds.
/// </summary>
internal sealed partial class KubernetesScaler(
    SiloOptions options, ISiloRoster roster, DecisionLog decisions, TimeProvider time, ILogger<KubernetesScaler> log)
    : IDisposable
{
    private HttpClient? _http;
    private object? _connecting;

    /// <summary>How long one call may take.</summary>
    public TimeSpan CallLimit { get; init; } = TimeSpan.FromSeconds(10);

    private HttpClient Http => LazyInitializer.EnsureInitialized(
        ref _http, ref _connecting, () => Connect(options.Scale!, CallLimit));

    /// <summary>The pool's advice. Nothing happens where nothing is to be scaled, or another silo does it.</summary>
    public async Task ScaleAsync(ScalePhase advice)
    {
        var target = advice.Phase == PoolPhase.Prefill ? options.Scale?.Prefill : options.Scale?.Decode;
        if (target is null || !roster.IsFirst(options.SiloId)) return;
        try
        {
            var path = await PathAsync(target);
            var now = await ReadAsync(path);
            var wanted = Math.Clamp(Towards(advice, now), target.Min, target.Max);
            if (wanted == now) return;
            await PatchAsync(path, wanted);
            decisions.Add(time.GetUtcNow(), "scale", string.Create(
                CultureInfo.InvariantCulture, $"set {target.Name} from {now} to {wanted} replicas: {advice.Reason}"));
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException or IOException or JsonException
            or KeyNotFoundException or UnauthorizedAccessException)
        {
            LogFailed(log, target.Name, e.Message);
            decisions.Add(time.GetUtcNow(), "scale", $"could not set {target.Name}'s replicas: {e.Message}");
        }
    }

    public void Dispose()
    {
        _http?.Dispose();
    }

    /// <summary>
    /// Advice counts workers that are linked. Pods that still start are replicas already: more are wanted only when the
    /// advice is above them, and advice to grow never takes one away.
    /// </summary>
    private static int Towards(ScalePhase advice, int now) => advice.To > advice.From
        ? Math.Max(now, advice.To)
        : Math.Min(now, advice.To);

    private async Task<string> PathAsync(ScaleTarget target)
    {
        var scale = options.Scale!;
        var space = scale.Namespace
            ?? (await File.ReadAllTextAsync(Path.Combine(scale.AccountFolder, "namespace"))).Trim();
        return $"/apis/apps/v1/namespaces/{space}/statefulsets/{target.Name}/scale";
    }

    private async Task<int> ReadAsync(string path)
    {
        using var answer = await SendAsync(HttpMethod.Get, path, null);
        using var scale = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        var spec = scale.RootElement.GetProperty("spec");
        // Kubernetes leaves a zero out.
        return spec.TryGetProperty("replicas", out var replicas) ? replicas.GetInt32() : 0;
    }

    private async Task PatchAsync(string path, int replicas)
    {
        using var body = JsonContent.Create(
            new Dictionary<string, Dictionary<string, int>> { ["spec"] = new() { ["replicas"] = replicas } },
            new MediaTypeHeaderValue("application/merge-patch+json"));
        using var answer = await SendAsync(HttpMethod.Patch, path, body);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, HttpContent? body)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body };
        var token = await File.ReadAllTextAsync(Path.Combine(options.Scale!.AccountFolder, "token"));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token.Trim());
        var answer = await Http.SendAsync(request);
        if (answer.IsSuccessStatusCode) return answer;
        var words = await answer.Content.ReadAsStringAsync();
        answer.Dispose();
        throw new HttpRequestException($"Kubernetes answered {(int)answer.StatusCode}: {MessageOf(words)}");
    }

    /// <summary>Kubernetes' errors are objects with a message.</summary>
    private static string MessageOf(string words)
    {
        try
        {
            using var status = JsonDocument.Parse(words);
            return status.RootElement.TryGetProperty("message", out var message) ? message.GetString() ?? words : words;
        }
        catch (JsonException)
        {
            return words;
        }
    }

    private static HttpClient Connect(ScaleOptions scale, TimeSpan limit)
    {
        var handler = new SocketsHttpHandler { UseProxy = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) };
        var authority = Path.Combine(scale.AccountFolder, "ca.crt");
        if (scale.Api.Scheme == Uri.UriSchemeHttps && File.Exists(authority))
        {
            var roots = new X509Certificate2Collection();
            roots.ImportFromPemFile(authority);
            handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            handler.SslOptions.CertificateChainPolicy.CustomTrustStore.AddRange(roots);
        }

        return new HttpClient(handler) { BaseAddress = scale.Api, Timeout = limit };
    }

    [LoggerMessage(63, LogLevel.Warning, "The replicas of {Target} could not be set: {Reason}")]
    private static partial void LogFailed(ILogger log, string target, string reason);
}
