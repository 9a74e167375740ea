using Krewe.Abstractions;

namespace Krewe.Grains;

/// <summary>
/// How a request's grain acts on the world: implemented by the silo over worker links and the request's token stream.
/// No method blocks; a link that is gone surfaces as <see cref="RequestReportKind.WorkerLost"/>.
/// </summary>
public interface IAttemptPort
{
    /// <summary>
    /// Fences older epochs of the stream, takes the tokens its owner has accepted so far, and sends the attempt's parts
    /// to the plan's workers. Throws <see cref="KreweException"/> (WorkerLost) when a link is gone,
    /// (ClientClosedRequest) when nobody reads the stream any more; then nothing was sent that is not also aborted.
    /// </summary>
    void Dispatch(RequestSpec spec, RoutePlan plan);

    /// <summary>Tells every worker of the plan to free what it holds of this epoch.</summary>
    void Abort(RequestSpec spec, RoutePlan plan, string reason);

    /// <summary>
    /// Ends the owner's stream with an error: the request's one terminal event when it did not finish. Without effect
    /// when the stream has ended or was never opened.
    /// </summary>
    void Fail(RequestSpec spec, ErrorCode code, string message);
}
