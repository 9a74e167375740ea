using System.Net;
using Krewe.Abstractions;
using Krewe.Silo.Access;
using Krewe.Silo.Cluster;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Orleans;

namespace Krewe.Silo.Gateway;

/// <summary>
/// Hands a request on to the silo that owns its stream: a client that comes back, through a load balancer, need not
/// meet the silo that it left. Invariant: a request is handed on once.
/// </summary>
internal sealed partial class PeerGateway(
    ISiloRoster roster, IGrainFactory grains, SiloOptions options, TimeProvider time, ILogger<PeerGateway> log)
    : IDisposable
{
    private const string Forwarded = "X-Krewe-Forwarded";

    /// <summary>Of the request: what the answer depends on. Of hop-by-hop headers none.</summary>
    private static readonly string[] RequestHeaders =
    [
        "Authorization", "x-api-key", "Last-Event-ID", "Idempotency-Key", "X-Krewe-Resumable", "Accept", "traceparent",
    ];

    private static readonly string[] ResponseHeaders =
        ["x-request-id", "Cache-Control", "X-Accel-Buffering", "Retry-After"];

    private readonly HttpMessageInvoker _http = new(new SocketsHttpHandler
    {
        ConnectTimeout = TimeSpan.FromSeconds(1),
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseProxy = false,
        SslOptions = GatewayTls.ForPeers(options),
    });

    /// <summary>
    /// Has the owner of <paramref name="requestId"/> answer, when it is another silo. False: nobody owns it, or this
    /// one does, and nothing was written.
    /// </summary>
    /// <param name="context">The request; its path and query go on as they are.</param>
    /// <param name="requestId">Whose stream it asks for.</param>
    /// <param name="body">Its body, which was read; null when it has none.</param>
    public async Task<bool> TryForwardAsync(HttpContext context, string requestId, ReadOnlyMemory<byte>? body = null)
    {
        if (roster.Silos.Length < 2 || context.Request.Headers.ContainsKey(Forwarded)) return false;
        var owner = await GrainAnswers.AskAsync(grains.GetGrain<IRequestGrain>(requestId).GetOwnerAsync, time);
        if (owner is null || owner == options.SiloId) return false;
        if (roster.Silos.FirstOrDefault(silo => silo.SiloId == owner)?.Gateway is not { } gateway) return false;
        using var request = Copy(context.Request, gateway, body);
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, context.RequestAborted);
        }
        catch (HttpRequestException e)
        {
            // It died this moment. The client asks again, and then the request has no owner.
            throw GrainAnswers.Unavailable(e);
        }

        using (response) await CopyAsync(response, context, requestId, owner);
        return true;
    }

    public void Dispose() => _http.Dispose();

    private static HttpRequestMessage Copy(HttpRequest from, Uri gateway, ReadOnlyMemory<byte>? body)
    {
        var copy = new HttpRequestMessage(
            new HttpMethod(from.Method), new Uri(gateway, $"{from.PathBase}{from.Path}{from.QueryString}"));
        if (body is { } bytes)
        {
            copy.Content = new ReadOnlyMemoryContent(bytes);
            copy.Content.Headers.TryAddWithoutValidation("Content-Type", from.ContentType);
        }

        foreach (var name in RequestHeaders)
        {
            if (from.Headers.TryGetValue(name, out var values))
                copy.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
        }

        copy.Headers.Add(Forwarded, "1");
        return copy;
    }

    private async Task CopyAsync(HttpResponseMessage from, HttpContext context, string requestId, string owner)
    {
        var to = context.Response;
        if (!to.HasStarted) CopyHead(from, to);
        // Keep-alives were sent: there is no status any more, only events.
        else if (!from.IsSuccessStatusCode) throw Refused(owner, from.StatusCode);

        try
        {
            await using var body = await from.Content.ReadAsStreamAsync(context.RequestAborted);
            var buffer = new byte[16 << 10];
            while (await body.ReadAsync(buffer, context.RequestAborted) is > 0 and var read)
            {
                await to.Body.WriteAsync(buffer.AsMemory(0, read), context.RequestAborted);
                await to.Body.FlushAsync(context.RequestAborted);
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException
            && !context.RequestAborted.IsCancellationRequested)
        {
            // The owner died in the middle: a cut stream must look cut.
            LogCut(log, requestId, owner, e.Message);
            context.Abort();
        }
    }

    private static void CopyHead(HttpResponseMessage from, HttpResponse to)
    {
        to.StatusCode = (int)from.StatusCode;
        to.ContentType = from.Content.Headers.ContentType?.ToString();
        foreach (var name in ResponseHeaders)
        {
            if (from.Headers.TryGetValues(name, out var values)) to.Headers[name] = values.ToArray();
        }
    }

    private static KreweException Refused(string owner, HttpStatusCode status) => new(
        ErrorCode.WorkerLost, $"The silo {owner}, which owns this request, answered {(int)status}; send it again.");

    [LoggerMessage(47, LogLevel.Information, "The stream of {RequestId} broke on its owner {Silo}: {Reason}")]
    private static partial void LogCut(ILogger log, string requestId, string silo, string reason);
}
