"""What each page shows, as functions from rows to HTML. Pure: no SQL, no NiceGUI, no clock."""
