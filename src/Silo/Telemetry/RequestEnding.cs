using Krewe.Abstractions;
using Microsoft.AspNetCore.Http;

namespace Krewe.Silo.Telemetry;

/// <summary>How an HTTP request that generates has ended.</summary>
/// <param name="Outcome">finished, failed, cancelled, refused or invalid.</param>
/// <param name="Code">The error's code as clients see it; null when finished.</param>
internal sealed record RequestEnding(string Outcome, string? Code)
{
    public const string FinishedOutcome = "finished";
    public const string Refused = "refused";
    public const string Failed = "failed";

    private const string Cancelled = "cancelled";
    private const string Invalid = "invalid";

    /// <param name="error">What ended it.</param>
    /// <param name="wasLetIn">It was being computed: no refusal any more, whatever the status says.</param>
    public static RequestEnding Of(Exception error, bool wasLetIn) => error switch
    {
        OperationCanceledException => new RequestEnding(Cancelled, CodeOf(ErrorCode.ClientClosedRequest)),
        KreweException known => Of(known.Code, wasLetIn),
        // An answer that broke after it had begun ends its connection by this; what was wrong is inside.
        BadHttpRequestException { InnerException: KreweException inner } when wasLetIn => new RequestEnding(
            inner.Code == ErrorCode.ClientClosedRequest ? Cancelled : Failed, CodeOf(inner.Code)),
        // Only keep-alives had been sent.
        BadHttpRequestException { InnerException: KreweException inner } => Of(inner.Code, wasLetIn),
        BadHttpRequestException => new RequestEnding(Invalid, CodeOf(ErrorCode.InvalidRequest)),
        IOException => new RequestEnding(Cancelled, CodeOf(ErrorCode.ClientClosedRequest)),
        _ => new RequestEnding(Failed, CodeOf(ErrorCode.Internal)),
    };

    private static RequestEnding Of(ErrorCode code, bool wasLetIn)
    {
        var status = ErrorCatalog.Describe(code).HttpStatus;
        return new RequestEnding(
            code == ErrorCode.ClientClosedRequest ? Cancelled
            : !wasLetIn && status is StatusCodes.Status429TooManyRequests
                or StatusCodes.Status503ServiceUnavailable ? Refused
            : status < StatusCodes.Status500InternalServerError ? Invalid
            : Failed,
            CodeOf(code));
    }

    private static string CodeOf(ErrorCode code) => ErrorCatalog.Describe(code).Code;
}
