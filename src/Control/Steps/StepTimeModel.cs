namespace Krewe.Control.Steps;

/// <summary>
/// Learns <see cref="StepTimeCoefficients"/> from measured steps. Invariant: coefficients are never negative and always
/// finite, whatever is observed. Deterministic: the same observations give the same bits. Allocates nothing after its
/// construction. Not thread-safe: whoever measures owns it.
/// </summary>
/// <remarks>
/// Recursive least squares on the relative error, in information form over factors θ of the start's coefficients
/// (θ = 1 at the start), so that nothing depends on units:
/// <list type="bullet">
/// <item>Forgetting is directional (Cao and Schwartz, Automatica 36, 2000): a step takes old information away only
/// along what it tells itself, so that an hour of decodes does not forget what a prefill costs, and information stays
/// bounded.</item>
/// <item>Outliers (a collector's pause, a busy neighbour) count by Huber's weight; their scale is tracked and can grow
/// but by steps, so that a lasting change is learnt all the same.</item>
/// <item>θ ≥ 0 by coordinate descent on the quadratic form, begun at the last θ.</item>
/// <item>A process's first steps are cold: they wait for the compiler and for memory's first touch. An early step that
/// takes a third of what was expected says so, and all that was learnt before it is dropped.</item>
/// </list>
/// </remarks>
public sealed class StepTimeModel
{
    private const int Features = 5;

    /// <summary>A direction's information is that of the last 30 steps or so along it.</summary>
    private const double Forgetting = 0.03;

    /// <summary>A start that is wrong by its own size counts as much as one step that is wrong by 3 %.</summary>
    private const double StartInformation = 1e-3;

    private const double HuberScales = 2.5;
    private const double FirstSpread = 0.25;
    private const double LeastSpread = 0.01;
    private const double SpreadRate = 0.05;

    /// <summary>Before this many observations none is an outlier: the model may be off.</summary>
    private const int TrustedAfter = 8;

    /// <summary>Of the expected time: an early step that is faster says that those before it were cold.</summary>
    private const double WarmShare = 1.0 / 3;

    private const int SweepsMax = 8;
    private const double SweepTolerance = 1e-9;
    private const double LeastMs = 1e-4;
    private const double MostMs = 1e7;

    private readonly double[] _start = new double[Features];
    private readonly double[] _factors = new double[Features];
    private readonly double[] _information = new double[Features * Features];
    private readonly double[] _pull = new double[Features];
    private readonly double[] _x = new double[Features];
    private readonly double[] _ax = new double[Features];

    public StepTimeModel()
        : this(StepTimeCoefficients.ColdStart)
    {
    }

    /// <summary><paramref name="start"/>: positive coefficients, of which the first observation sets the
    /// scale.</summary>
    public StepTimeModel(StepTimeCoefficients start)
    {
        ReadOnlySpan<double> values =
            [start.StepMs, start.RowMs, start.DecodeSequenceMs, start.ContextTokenMs, start.PairMs];
        for (var i = 0; i < Features; i++)
        {
            if (!(values[i] > 0) || !double.IsFinite(values[i]))
                throw new ArgumentException($"Coefficient {i} is {values[i]}; it must be positive.", nameof(start));
            _start[i] = values[i];
        }

        Begin(scale: 1);
        Coefficients = start;
    }

    /// <summary>The newest estimate.</summary>
    public StepTimeCoefficients Coefficients { get; private set; }

    /// <summary>Typical relative error of a prediction, 0.01 and up.</summary>
    public double Spread { get; private set; } = FirstSpread;

    /// <summary>Steps learnt from.</summary>
    public long Observations { get; private set; }

    /// <summary>Enough was seen to tell what a prompt of another length takes.</summary>
    public bool IsTrusted => Observations > TrustedAfter;

    /// <summary>
    /// Learns from one step. A time that no clock can have measured (zero, negative, not a number) is ignored.
    /// </summary>
    public void Observe(in StepWork work, double milliseconds)
    {
        if (!(milliseconds > 0) || !double.IsFinite(milliseconds) || work.Rows <= 0) return;
        milliseconds = Math.Clamp(milliseconds, LeastMs, MostMs);
        var predicted = Coefficients.Milliseconds(work);
        if (Observations++ == 0 || (Observations <= TrustedAfter && milliseconds < WarmShare * predicted))
            Begin(milliseconds / AtStart(work));
        else Learn(work, milliseconds, WeightOf(predicted, milliseconds));
        Coefficients = new StepTimeCoefficients
        {
            StepMs = _start[0] * _factors[0],
            RowMs = _start[1] * _factors[1],
            DecodeSequenceMs = _start[2] * _factors[2],
            ContextTokenMs = _start[3] * _factors[3],
            PairMs = _start[4] * _factors[4],
        };
    }

    /// <summary>Nothing is known but the scale of the start's coefficients.</summary>
    private void Begin(double scale)
    {
        Array.Clear(_information);
        for (var i = 0; i < Features; i++)
        {
            _start[i] *= scale;
            _factors[i] = 1;
            _pull[i] = _information[(i * Features) + i] = StartInformation;
        }
    }

    /// <summary>The step's time by the start's coefficients.</summary>
    private double AtStart(in StepWork work) => _start[0] + (_start[1] * work.Rows)
        + (_start[2] * work.DecodeSequences) + (_start[3] * work.DecodeContextTokens) + (_start[4] * work.PrefillPairs);

    private double WeightOf(double predicted, double milliseconds)
    {
        var error = Math.Abs((milliseconds / Math.Max(predicted, LeastMs)) - 1);
        var weight = Observations <= TrustedAfter ? 1 : Math.Min(1, HuberScales * Spread / Math.Max(error, 1e-12));
        Spread = Math.Max(LeastSpread, Spread + (SpreadRate * (Math.Min(error, 4 * Spread) - Spread)));
        return weight;
    }

    private void Learn(in StepWork work, double milliseconds, double weight)
    {
        // Divided by the measured time: the row then says x · θ = 1, and its error is relative.
        _x[0] = _start[0] / milliseconds;
        _x[1] = _start[1] * work.Rows / milliseconds;
        _x[2] = _start[2] * work.DecodeSequences / milliseconds;
        _x[3] = _start[3] * work.DecodeContextTokens / milliseconds;
        _x[4] = _start[4] * work.PrefillPairs / milliseconds;
        var (xax, xb) = (0.0, 0.0);
        for (var i = 0; i < Features; i++)
        {
            var sum = 0.0;
            for (var j = 0; j < Features; j++) sum += _information[(i * Features) + j] * _x[j];
            _ax[i] = sum;
            xax += sum * _x[i];
            xb += _pull[i] * _x[i];
        }

        var lost = xax > 0 ? Forgetting * weight / xax : 0;
        for (var i = 0; i < Features; i++)
        {
            for (var j = 0; j < Features; j++)
                _information[(i * Features) + j] += (weight * _x[i] * _x[j]) - (lost * _ax[i] * _ax[j]);
            _pull[i] += (weight * _x[i]) - (lost * _ax[i] * xb);
        }

        KeepLeastInformation();
        Descend();
    }

    /// <summary>
    /// Rounding must not make a direction's information vanish; what is added pulls to the present θ.
    /// </summary>
    private void KeepLeastInformation()
    {
        for (var i = 0; i < Features; i++)
        {
            ref var own = ref _information[(i * Features) + i];
            if (own >= StartInformation) continue;
            _pull[i] += (StartInformation - own) * _factors[i];
            own = StartInformation;
        }
    }

    /// <summary>Minimises θAθ/2 - bθ over θ ≥ 0, coordinate by coordinate.</summary>
    private void Descend()
    {
        for (var sweep = 0; sweep < SweepsMax; sweep++)
        {
            var moved = 0.0;
            for (var i = 0; i < Features; i++)
            {
                var slope = _pull[i];
                for (var j = 0; j < Features; j++) slope -= _information[(i * Features) + j] * _factors[j];
                var next = Math.Max(0, _factors[i] + (slope / _information[(i * Features) + i]));
                moved = Math.Max(moved, Math.Abs(next - _factors[i]));
                _factors[i] = next;
            }

            if (moved < SweepTolerance) return;
        }
    }
}
