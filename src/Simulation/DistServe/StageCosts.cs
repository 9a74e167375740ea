namespace Krewe.Simulation.DistServe;

/// <summary>
/// Fitted step times of one (engine, model, tensor parallel size) split over a number of pipeline stages, in ms.
/// Source: DistServe (OSDI'24) appendix A in the fitted form of its simulator.
/// </summary>
/// <param name="Prefill">a, b, c of (a + b*sum(length) + c*sum(length^2)) / stages + stages.</param>
/// <param name="DecodeSmall">a, b, c of (a + b*sum(context) + c*batch) / stages, for batches below the
/// threshold.</param>
/// <param name="DecodeLarge">The same for larger batches.</param>
/// <param name="LargeBatchThreshold">First batch size that is large.</param>
/// <param name="Stages">Pipeline stages.</param>
/// <param name="CapacityTokens">KV capacity of the instance in tokens: the cap of a prefill batch.</param>
public sealed record StageCosts(
    Fit Prefill, Fit DecodeSmall, Fit DecodeLarge, int LargeBatchThreshold, int Stages, int CapacityTokens)
{
    public double PrefillMs(double tokens, double squaredTokens) =>
        (Prefill.A + (Prefill.B * tokens) + (Prefill.C * squaredTokens)) / Stages + Stages;

    public double DecodeMs(double contextTokens, int batch)
    {
        var fit = batch < LargeBatchThreshold ? DecodeSmall : DecodeLarge;
        return (fit.A + (fit.B * contextTokens) + (fit.C * batch)) / Stages;
    }
}

/// <summary>Three coefficients of a linear fit, ms.</summary>
public readonly record struct Fit(double A, double B, double C);
