using System.Globalization;

namespace Krewe.Models;

/// <summary>
/// A set of Unicode scalar values as sorted, disjoint ranges. Surrogates are in no set: no UTF-8 text has them.
/// </summary>
internal sealed class CodePointSet
{
    private const int Last = 0x10FFFF;
    private const int FirstSurrogate = 0xD800;
    private const int LastSurrogate = 0xDFFF;

    private static readonly Lazy<int[]> Categories = new(() =>
        [.. Enumerable.Range(0, Last + 1).Select(point => (int)CharUnicodeInfo.GetUnicodeCategory(point))]);

    private readonly (int First, int Last)[] _ranges;

    private CodePointSet((int First, int Last)[] ranges) => _ranges = ranges;

    public static CodePointSet Empty { get; } = new([]);

    public static CodePointSet All { get; } = new([(0, FirstSurrogate - 1), (LastSurrogate + 1, Last)]);

    public static CodePointSet Ascii { get; } = Range(0, 0x7F);

    public static CodePointSet Digits { get; } = Range('0', '9');

    /// <summary>As <c>\w</c> in JSON Schema's regular expressions, which are ECMAScript's.</summary>
    public static CodePointSet Word { get; } =
        Digits.Union(Range('A', 'Z')).Union(Range('a', 'z')).Union(Of('_'));

    /// <summary>What <c>\s</c> is for every engine.</summary>
    public static CodePointSet Space { get; } =
        Range(9, 13).Union(Of(' ')).Union(Of(0xA0)).Union(Of(0x1680)).Union(Range(0x2000, 0x200A))
            .Union(Range(0x2028, 0x2029)).Union(Of(0x202F)).Union(Of(0x205F)).Union(Of(0x3000));

    /// <summary>What <c>.</c> does not match.</summary>
    public static CodePointSet LineEnds { get; } = Of('\n').Union(Of('\r')).Union(Range(0x2028, 0x2029));

    public ReadOnlySpan<(int First, int Last)> Ranges => _ranges;

    public bool IsEmpty => _ranges.Length == 0;

    /// <summary>Equal sets have equal keys.</summary>
    public string Key => string.Join(
        ';', _ranges.Select(range => string.Create(CultureInfo.InvariantCulture, $"{range.First}-{range.Last}")));

    /// <summary>From sorted, disjoint ranges.</summary>
    public static CodePointSet OfRanges(IEnumerable<(int First, int Last)> sorted) => new([.. sorted]);

    public static CodePointSet Of(int point) => Range(point, point);

    /// <summary>Both ends included; surrogates fall out.</summary>
    public static CodePointSet Range(int first, int last)
    {
        List<(int, int)> ranges = [];
        if (first < FirstSurrogate) ranges.Add((first, Math.Min(last, FirstSurrogate - 1)));
        if (last > LastSurrogate) ranges.Add((Math.Max(first, LastSurrogate + 1), last));
        return new CodePointSet([.. ranges.Where(range => range.Item1 <= range.Item2)]);
    }

    /// <summary>Every character whose general category begins with this name: "L", "Lu", "Nd"; null for no such
    /// name.</summary>
    public static CodePointSet? OfCategory(string name)
    {
        var wanted = Enum.GetValues<UnicodeCategory>()
            .Where(category => CategoryName(category).StartsWith(name, StringComparison.Ordinal))
            .Select(category => (int)category).ToHashSet();
        if (name.Length is 0 or > 2 || wanted.Count == 0) return null;
        List<(int, int)> ranges = [];
        var categories = Categories.Value;
        for (var point = 0; point <= Last; point++)
        {
            if (!wanted.Contains(categories[point])) continue;
            var first = point;
            while (point < Last && wanted.Contains(categories[point + 1])) point++;
            ranges.Add((first, point));
        }

        return new CodePointSet([.. ranges]).Intersect(All);
    }

    public bool Contains(int point)
    {
        foreach (var (first, last) in _ranges)
        {
            if (point >= first && point <= last) return true;
        }

        return false;
    }

    public CodePointSet Union(CodePointSet other)
    {
        List<(int First, int Last)> merged = [];
        foreach (var range in _ranges.Concat(other._ranges).OrderBy(range => range.First))
        {
            if (merged.Count > 0 && range.First <= merged[^1].Last + 1)
                merged[^1] = (merged[^1].First, Math.Max(merged[^1].Last, range.Last));
            else merged.Add(range);
        }

        return new CodePointSet([.. merged]);
    }

    public CodePointSet Intersect(CodePointSet other)
    {
        List<(int, int)> common = [];
        for (int i = 0, j = 0; i < _ranges.Length && j < other._ranges.Length;)
        {
            var first = Math.Max(_ranges[i].First, other._ranges[j].First);
            var last = Math.Min(_ranges[i].Last, other._ranges[j].Last);
            if (first <= last) common.Add((first, last));
            if (_ranges[i].Last < other._ranges[j].Last) i++;
            else j++;
        }

        return new CodePointSet([.. common]);
    }

    public CodePointSet Complement()
    {
        List<(int, int)> rest = [];
        var next = 0;
        foreach (var (first, last) in _ranges)
        {
            if (first > next) rest.Add((next, first - 1));
            next = last + 1;
        }

        if (next <= Last) rest.Add((next, Last));
        return new CodePointSet([.. rest]).Intersect(All);
    }

    public CodePointSet Except(CodePointSet other) => Intersect(other.Complement());

    private static string CategoryName(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => "Lu",
        UnicodeCategory.LowercaseLetter => "Ll",
        UnicodeCategory.TitlecaseLetter => "Lt",
        UnicodeCategory.ModifierLetter => "Lm",
        UnicodeCategory.OtherLetter => "Lo",
        UnicodeCategory.NonSpacingMark => "Mn",
        UnicodeCategory.SpacingCombiningMark => "Mc",
        UnicodeCategory.EnclosingMark => "Me",
        UnicodeCategory.DecimalDigitNumber => "Nd",
        UnicodeCategory.LetterNumber => "Nl",
        UnicodeCategory.OtherNumber => "No",
        UnicodeCategory.SpaceSeparator => "Zs",
        UnicodeCategory.LineSeparator => "Zl",
        UnicodeCategory.ParagraphSeparator => "Zp",
        UnicodeCategory.Control => "Cc",
        UnicodeCategory.Format => "Cf",
        UnicodeCategory.PrivateUse => "Co",
        UnicodeCategory.ConnectorPunctuation => "Pc",
        UnicodeCategory.DashPunctuation => "Pd",
        UnicodeCategory.OpenPunctuation => "Ps",
        UnicodeCategory.ClosePunctuation => "Pe",
        UnicodeCategory.InitialQuotePunctuation => "Pi",
        UnicodeCategory.FinalQuotePunctuation => "Pf",
        UnicodeCategory.OtherPunctuation => "Po",
        UnicodeCategory.MathSymbol => "Sm",
        UnicodeCategory.CurrencySymbol => "Sc",
        UnicodeCategory.ModifierSymbol => "Sk",
        UnicodeCategory.OtherSymbol => "So",
        _ => "Cn",
    };
}
