using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>Tokens that the runner draws itself, where the logits are.</summary>
public sealed partial class StepBatch
{
    private SampleDraw?[] _draws = new SampleDraw?[16];
    private int?[] _sampled = new int?[16];
    private int _drawCount;

    /// <summary>Whether somebody wants the logits of any row.</summary>
    public bool WantsLogits
    {
        get
        {
            for (var row = 0; row < LogitRowCount; row++)
            {
                if (DrawOf(row) is null) return true;
            }

            return false;
        }
    }

    /// <summary>Asks an <see cref="ISamplingRunner"/> for a logit row's token instead of its logits.</summary>
    public void SetDraw(int logitRow, in SampleDraw draw)
    {
        (_draws, _sampled) = (Grown(_draws, logitRow + 1), Grown(_sampled, logitRow + 1));
        for (; _drawCount <= logitRow; _drawCount++) (_draws[_drawCount], _sampled[_drawCount]) = (null, null);
        _draws[logitRow] = draw;
    }

    /// <summary>How a logit row's token is to be drawn; null: its logits are wanted.</summary>
    public SampleDraw? DrawOf(int logitRow) => logitRow < _drawCount ? _draws[logitRow] : null;

    /// <summary>The token that was drawn; null: the row's logits are there instead.</summary>
    public int? SampledOf(int logitRow) => logitRow < _drawCount ? _sampled[logitRow] : null;

    /// <summary>Called by the runner.</summary>
    internal void SetSampled(int logitRow, int token) => _sampled[logitRow] = token;
}

/// <summary>
/// A runner that draws tokens on its device. A row with a draw gets its token, or, where its logits are no numbers, the
/// logits, so that whoever samples them says what is wrong.
/// </summary>
public interface ISamplingRunner : IModelRunner;
