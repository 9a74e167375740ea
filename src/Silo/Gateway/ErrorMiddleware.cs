using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.Silo.Cluster;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Krewe.Silo.Gateway;

/// <summary>
/// Outermost part of the gateway: gives each request its id and makes an error object of everything that goes wrong. No
/// request gets an empty error, and a client's mistake is never a 5xx.
/// </summary>
internal sealed partial class ErrorMiddleware(RequestDelegate next, Entropy entropy, ILogger<ErrorMiddleware> log)
{
    public const string RequestIdHeader = "x-request-id";

    private const int RequestIdCharsMax = 128;

    [SuppressMessage("Design", "CA1031", Justification =
        "The last resort: the client gets an error object and the operator the exception.")]
    public async Task InvokeAsync(HttpContext context)
    {
        context.TraceIdentifier = AcceptRequestId(context.Request) ?? entropy.NextId();
        context.Response.Headers[RequestIdHeader] = context.TraceIdentifier;
        try
        {
            await next(context);
            if (!context.Response.HasStarted && ErrorOfRouting(context) is { } unrouted)
                await ErrorWriter.WriteAsync(context, unrouted);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client is gone: nobody is left to answer, and what ran for it was cancelled.
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            await ErrorWriter.WriteAsync(context, Translate(e, context));
        }
        catch (IOException e) when (context.RequestAborted.IsCancellationRequested)
        {
            ClientGone(log, e, context.TraceIdentifier);
        }
    }

    /// <summary>Takes the client's id when it can stand in a path, a log and a grain's key.</summary>
    private static string? AcceptRequestId(HttpRequest request)
    {
        var asked = request.Headers[RequestIdHeader];
        return asked is [{ Length: > 0 and <= RequestIdCharsMax } id]
            && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
                ? id
                : null;
    }

    private KreweException Translate(Exception error, HttpContext context)
    {
        switch (error)
        {
            case KreweException known:
                return known;
            case BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } large:
                return new KreweException(
                    ErrorCode.RequestTooLarge, $"{large.Message} Send a shorter prompt.", innerException: large);
            case BadHttpRequestException { StatusCode: StatusCodes.Status408RequestTimeout } slow:
                return new KreweException(
                    ErrorCode.RequestTimedOut, $"The body came too slowly: {slow.Message}", innerException: slow);
            case BadHttpRequestException bad:
                return new KreweException(
                    ErrorCode.InvalidRequest, $"The body could not be read: {bad.Message}", innerException: bad);
            case { } host when GrainAnswers.IsOfHost(host):
                HostAway(log, error, context.TraceIdentifier);
                return GrainAnswers.Unavailable(error);
            default:
                Unexpected(log, error, context.TraceIdentifier, context.Request.Path);
                return new KreweException(
                    ErrorCode.Internal,
                    $"The gateway failed on this request. Its operator finds the reason in the log under "
                    + $"{context.TraceIdentifier}.");
        }
    }

    private static KreweException? ErrorOfRouting(HttpContext context) => context.Response.StatusCode switch
    {
        StatusCodes.Status404NotFound => new KreweException(
            ErrorCode.NotFound,
            $"There is nothing at {context.Request.Path}. The API is under /v1; GET /v1/models shows the model, "
            + "/dashboard in a browser the cluster."),
        StatusCodes.Status405MethodNotAllowed => new KreweException(
            ErrorCode.MethodNotAllowed,
            $"{context.Request.Method} is not possible at {context.Request.Path}; allowed: "
            + $"{context.Response.Headers.Allow}."),
        _ => null,
    };

    [LoggerMessage(40, LogLevel.Error, "Request {RequestId} to {Path} failed in the gateway")]
    private static partial void Unexpected(ILogger log, Exception error, string requestId, string path);

    [LoggerMessage(42, LogLevel.Warning, "Request {RequestId} was refused: the grain host cannot take it")]
    private static partial void HostAway(ILogger log, Exception error, string requestId);

    [LoggerMessage(41, LogLevel.Debug, "The client of request {RequestId} went away while it was answered")]
    private static partial void ClientGone(ILogger log, Exception error, string requestId);
}
