"""What docks are made of: lists, charts, tables, dialogs, and the small pieces they share."""
