using System.Diagnostics;
using Krewe.Abstractions;

namespace Krewe.Grains;

/// <summary>Spans of request grains. Nothing is made while nobody listens.</summary>
internal static class RequestTrace
{
    private static readonly ActivitySource Source = new("Krewe.Grains");

    /// <summary>Step 3, under the gateway's span; null while nobody traces this request.</summary>
    public static Activity? BeginPlan(RequestSpec spec) =>
        spec.TraceParent is not null && ActivityContext.TryParse(spec.TraceParent, null, isRemote: true, out var parent)
            ? Source.StartActivity("plan", ActivityKind.Internal, parent)
                ?.SetTag("krewe.step", 3)
                .SetTag("krewe.request_id", spec.RequestId)
                .SetTag("krewe.choice", spec.Choice)
            : null;

    /// <summary>What was decided.</summary>
    public static void Tell(this Activity span, RoutePlan plan) => span
        .SetTag("krewe.worker.prefill", plan.Prefill.WorkerId)
        .SetTag("krewe.worker.decode", plan.Decode.WorkerId)
        .SetTag("krewe.epoch", plan.Epoch)
        .SetTag("krewe.prefix_hit_tokens", plan.PrefixHitTokens)
        .SetTag("krewe.route.reason", plan.Reason);
}
