namespace Krewe.Control.Tiers;

/// <summary>
/// Learns what prefill costs from the steps that computed prompt tokens: least squares of seconds = a·tokens + b·pairs,
/// where old steps fade, so that the figure follows the present load. Not thread-safe.
/// </summary>
public sealed class PrefillMeter
{
    /// <summary>Until measured: a fast worker, so that a slow disk is not preferred on a guess.</summary>
    public const double AssumedSecondsPerToken = 1e-4;

    private const double Keep = 0.98;
    private const int TrustedTokens = 64;

    private double _tokens;
    private double _seconds;
    private double _tt;
    private double _tp;
    private double _pp;
    private double _ts;
    private double _ps;

    /// <summary>False while <see cref="Cost"/> is a guess.</summary>
    public bool IsMeasured => _tokens >= TrustedTokens;

    /// <summary>What the next prompt tokens would cost.</summary>
    public PrefillCost Cost
    {
        get
        {
            if (!IsMeasured) return new PrefillCost(AssumedSecondsPerToken);
            var determinant = (_tt * _pp) - (_tp * _tp);
            if (determinant > 1e-9 * _tt * _pp)
            {
                var perToken = ((_ts * _pp) - (_ps * _tp)) / determinant;
                var perPair = ((_tt * _ps) - (_tp * _ts)) / determinant;
                if (perToken > 0 && perPair > 0) return new PrefillCost(perToken, perPair);
            }

            // Steps too alike to tell the two apart, or noise made one negative: the mean.
            return new PrefillCost(_seconds / _tokens);
        }
    }

    /// <param name="tokens">Prompt tokens of one step.</param>
    /// <param name="pairs">Sum over these tokens of how many each attends to.</param>
    /// <param name="seconds">The step's wall time, decodes and all.</param>
    public void Add(int tokens, double pairs, double seconds)
    {
        Fade();
        _tokens += tokens;
        _seconds += seconds;
        _tt += (double)tokens * tokens;
        _tp += tokens * pairs;
        _pp += pairs * pairs;
        _ts += tokens * seconds;
        _ps += pairs * seconds;
    }

    private void Fade()
    {
        _tokens *= Keep;
        _seconds *= Keep;
        _tt *= Keep;
        _tp *= Keep;
        _pp *= Keep;
        _ts *= Keep;
        _ps *= Keep;
    }
}
