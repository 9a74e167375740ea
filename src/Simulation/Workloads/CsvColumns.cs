using System.Globalization;

namespace Krewe.Simulation;

/// <summary>The columns of a CSV file by name. No quoting: none of the traces has text in it.</summary>
internal sealed class CsvColumns
{
    private readonly TraceLines _lines;
    private readonly string[] _names;
    private string[] _cells = [];

    /// <summary>Reads the header.</summary>
    public CsvColumns(TraceLines lines)
    {
        _lines = lines;
        _names = (lines.Next() ?? throw lines.Bad("the file is empty.")).Split(',', StringSplitOptions.TrimEntries);
    }

    public bool Has(string name) => Array.IndexOf(_names, name) >= 0;

    /// <summary>The place of the first of these names; the complaint lists what the header has.</summary>
    public int Require(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (Array.IndexOf(_names, name) is >= 0 and var at) return at;
        }

        throw _lines.Bad(
            $"no column '{string.Join("' or '", names.ToArray())}'; the header has: {string.Join(", ", _names)}.");
    }

    /// <summary>Reads the next row; false at the end.</summary>
    public bool Next()
    {
        if (_lines.Next() is not { } line) return false;
        _cells = line.Split(',');
        if (_cells.Length < _names.Length)
            throw _lines.Bad($"{_cells.Length} columns where the header has {_names.Length}.");
        return true;
    }

    public string Text(int column) => _cells[column].Trim();

    public double Number(int column) =>
        double.TryParse(Text(column), NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw _lines.Bad($"column '{_names[column]}' is '{Text(column)}', not a number.");
}
